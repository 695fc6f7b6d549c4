//! The FITS checksum convention (FITS standard 4.0, appendix J).

/// Ones'-complement sum of big-endian 32-bit words, continued from `sum`.
///
/// `bytes` must be a whole number of words, which every FITS block is.
pub(super) fn accumulate(sum: u32, bytes: &[u8]) -> u32 {
    debug_assert_eq!(bytes.len() % 4, 0);
    let total = bytes.chunks_exact(4).fold(u64::from(sum), |sum, word| {
        sum + u64::from(u32::from_be_bytes(word.try_into().expect("four bytes")))
    });
    fold(total)
}

/// Folds carries back in until 32 bits are left.
pub(super) fn fold(mut sum: u64) -> u32 {
    while sum >> 32 != 0 {
        sum = (sum & 0xffff_ffff) + (sum >> 32);
    }
    sum as u32
}

/// The 16 characters of CHECKSUM that bring an HDU with sum `sum` to all ones.
pub(super) fn encode(sum: u32) -> String {
    const PUNCTUATION: [u8; 13] =
        [0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f, 0x60];
    let mut characters = [0u8; 16];
    for (i, byte) in (!sum).to_be_bytes().into_iter().enumerate() {
        let mut quarter = [b'0' + byte / 4; 4];
        quarter[0] += byte % 4;
        while quarter.iter().any(|c| PUNCTUATION.contains(c)) {
            for pair in [[0, 1], [2, 3]] {
                if pair.iter().any(|&j| PUNCTUATION.contains(&quarter[j])) {
                    quarter[pair[0]] += 1;
                    quarter[pair[1]] -= 1;
                }
            }
        }
        for (j, c) in quarter.into_iter().enumerate() {
            // The string sits one byte off a word boundary in its card.
            characters[(4 * j + i + 1) % 16] = c;
        }
    }
    characters.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_sums_cancel() {
        for sum in [0u32, 1, 0xffff_ffff, 868_229_149, 0x8000_0001, 12_345] {
            let text = encode(sum);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()), "{text}");
            // Undo the rotation; what is left, less the ASCII zeros, is the complement.
            let bytes: Vec<u8> = (0..16).map(|k| text.as_bytes()[(k + 1) % 16]).collect();
            let zeros = accumulate(0, &[b'0'; 16]);
            let total = accumulate(sum, &bytes);
            assert_eq!(fold(u64::from(total) + u64::from(!zeros)), u32::MAX);
        }
    }
}
