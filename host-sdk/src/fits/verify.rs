//! Whether a file is whole: DATASUM and CHECKSUM of every HDU.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::checksum;
use super::header::Header;
use crate::error::{HostError, Result};

const BLOCK: usize = 2880;
/// Cards of one block.
const RECORD: usize = 80;

/// Checks the sums of every HDU and that nothing follows the last one; gives the primary header.
///
/// # Errors
/// [`HostError::Checksum`] if a sum is off or missing, or the file is cut short; [`HostError::Io`].
pub fn verify(path: &Path) -> Result<Header> {
    let file = File::open(path).map_err(HostError::io("open", path))?;
    let mut reader = BufReader::with_capacity(16 * BLOCK, file);
    let mut primary = None;
    for index in 0.. {
        let at = format!("{}[{index}]", path.display());
        let wrong = |reason: &str| HostError::Checksum { at: at.clone(), reason: reason.into() };
        let mut block = [0u8; BLOCK];
        let mut sum = 0;
        let mut text = String::new();
        loop {
            match fill(&mut reader, &mut block).map_err(HostError::io("read", path))? {
                BLOCK => {}
                0 if text.is_empty() && index > 0 => {
                    return primary.ok_or_else(|| wrong("no primary header"));
                }
                _ => return Err(wrong("the header is cut short")),
            }
            sum = checksum::accumulate(sum, &block);
            text.extend(block.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '?' }));
            if block.chunks(RECORD).any(|card| card.trim_ascii_end() == b"END") {
                break;
            }
        }
        let header = Header::from_cards(text);
        let size = data_bytes(&header, index == 0).ok_or_else(|| wrong("its axes make no size"))?;
        let mut data_sum = 0;
        for _ in 0..size.div_ceil(BLOCK as u64) {
            if fill(&mut reader, &mut block).map_err(HostError::io("read", path))? != BLOCK {
                return Err(wrong("the data are cut short"));
            }
            data_sum = checksum::accumulate(data_sum, &block);
        }
        let stated = header.string("DATASUM").and_then(|s| s.trim().parse::<u32>().ok());
        match stated {
            None => return Err(wrong("no DATASUM")),
            Some(stated) if stated != data_sum => return Err(wrong("DATASUM does not match")),
            Some(_) => {}
        }
        if header.string("CHECKSUM").is_none() {
            return Err(wrong("no CHECKSUM"));
        }
        if checksum::fold(u64::from(sum) + u64::from(data_sum)) != u32::MAX {
            return Err(wrong("CHECKSUM does not match"));
        }
        primary.get_or_insert(header);
    }
    unreachable!("the loop ends at the end of the file")
}

/// Bytes of an HDU's data, padding aside; `None` if the axes cannot be.
fn data_bytes(header: &Header, primary: bool) -> Option<u64> {
    let count = |key: &str| header.integer(key).and_then(|n| u64::try_from(n).ok());
    let axes = count("NAXIS")?;
    let bytes = header.integer("BITPIX")?.unsigned_abs() / 8;
    if axes == 0 {
        return Some(0);
    }
    let mut pixels = 1u64;
    for k in 1..=axes.min(999) {
        pixels = pixels.checked_mul(count(&format!("NAXIS{k}"))?)?;
    }
    let (parameters, groups) = match primary {
        true => (0, 1),
        false => (count("PCOUNT").unwrap_or(0), count("GCOUNT").unwrap_or(1)),
    };
    pixels.checked_add(parameters)?.checked_mul(groups)?.checked_mul(bytes)
}

/// Reads until the buffer is full or the file ends; how much.
fn fill(reader: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < block.len() {
        match reader.read(&mut block[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(have)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::{Card, FitsOutput};
    use ndarray::Array2;

    #[test]
    fn every_byte_counts() {
        let path = std::env::temp_dir().join(format!("pellucid-verify-{}", std::process::id()));
        let mut file = FitsOutput::create(&path, &[Card::new("NIGHTSHA", "abc", "")]).unwrap();
        let image = Array2::from_shape_fn((40, 30), |(y, x)| (y * x) as f32);
        file.image("IMAGE", 1, image.view(), &[]).unwrap();
        file.commit().unwrap();
        assert_eq!(verify(&path).unwrap().string("NIGHTSHA"), Some("abc"));
        let whole = std::fs::read(&path).unwrap();
        let reason = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            verify(&path).unwrap_err().to_string()
        };
        for (position, words) in [(85, "[0]: CHECKSUM"), (2 * BLOCK + 200, "[1]: DATASUM")] {
            let mut bytes = whole.clone();
            bytes[position] ^= 1;
            let said = reason(&bytes);
            assert!(said.contains(words), "{position}: {said}");
        }
        assert!(reason(&whole[..whole.len() - 1]).contains("cut short"));
        assert!(reason(&whole[..100]).contains("[0]: the header is cut short"));
        assert!(reason(b"").contains("cut short"));
        std::fs::remove_file(&path).unwrap();
    }
}
