//! Changes of whole cards and of pieces of JSON, for libFuzzer's custom mutators.

/// Keywords and values that readers act on.
const VALUES: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "9",
    "99",
    "999",
    "100000",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "1E300",
    "-1E-300",
    "1D400",
    "NAN",
    "INF",
    "-0.0",
    "T",
    "F",
    "8",
    "16",
    "32",
    "64",
    "-32",
    "-64",
    "'IMAGE   '",
    "'BINTABLE'",
    "'TABLE   '",
    "'1D      '",
    "'0D      '",
    "'2A      '",
    "'1PB(5)  '",
    "'1C      '",
    "'1X      '",
    "'999999999D'",
    "'80A     '",
    "'SCI     '",
    "'ERR     '",
    "'DQ      '",
    "'D2IMARR '",
    "'WCSDVARR'",
    "'EXPOSURES'",
    "'SAMPLES '",
    "'Lookup  '",
    "'EXTVER: 1'",
    "'EXTVER: 1E30'",
    "'RA---TAN'",
    "'DEC--TAN'",
    "'RA---TAN-SIP'",
    "'DEC--TAN-SIP'",
    "'GLON-TAN'",
    "'COMPLETE'",
    "'HEADER  '",
    "'RICE_1  '",
    "'GZIP_1  '",
    "'PLIO_1  '",
    "'HCOMPRESS_1'",
    "''",
    "'",
    "'a''b&'",
    "",
];
const KEYS: &[&str] = &[
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "NAXIS4", "PCOUNT",
    "GCOUNT", "TFIELDS", "TFORM1", "TFORM2", "TTYPE1", "TDIM1", "TSCAL1", "TZERO1", "TNULL1",
    "THEAP", "EXTNAME", "EXTVER", "BSCALE", "BZERO", "BLANK", "ZIMAGE", "ZBITPIX", "ZNAXIS",
    "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZCMPTYPE", "ZVAL1", "BUNIT", "EXPTIME", "PAMCORR", "MDRIZSKY",
    "CTYPE1", "CTYPE2", "CRPIX1", "CRVAL1", "CRVAL2", "CD1_1", "CD2_2", "CDELT1", "PC1_1",
    "A_ORDER", "B_ORDER", "A_2_0", "B_1_1", "CPDIS1", "DP1", "D2IMDIS1", "D2IM1", "D2IMEXT",
    "AXISCORR", "OVERSAMP", "PIXINT", "CONTINUE", "END", "COMMENT", "HIERARCH", "GROUPS", "EXTEND",
    "LONGSTRN", "INHERIT", "CHECKSUM", "DATASUM", "NXPSFS", "NYPSFS", "IPSFX01", "JPSFY02",
    "CCDCHIP",
];
const PIECES: &[&str] = &[
    "0",
    "-1",
    "1",
    "3",
    "64",
    "4096",
    "4097",
    "1e300",
    "1e-300",
    "1e999",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "2305843009213693952",
    "null",
    "true",
    "[]",
    "{}",
    "[1,1,1]",
    "[0]",
    "[1,8,8]",
    "[8,8]",
    "[0,8,8]",
    "[3,3]",
    "\"F32\"",
    "\"F64\"",
    "\"BF16\"",
    "\"I64\"",
    "\"U8\"",
    "\"F4\"",
    "mean",
    "power",
    "weights",
    "means",
    "core",
    "forward",
    "net.",
    "gaussian_field",
    "gaussian_mixture",
    "edm_unet",
    "whitened_unet",
    "stationary_gaussian",
    "prior",
    "noise",
    "ve",
    "vp",
    "tsve",
    "nan",
    "\\u0000",
    "\\\"",
    ",",
    ":",
];

/// SplitMix64 (Steele, Lea & Flood 2014, OOPSLA, fig. 17).
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// Changes one to three header cards, or the length, of a FITS file of `size` bytes at the start of
/// `data`; returns the new size, at most `max`.
pub fn cards(data: &mut [u8], size: usize, max: usize, seed: u32) -> usize {
    let mut rng = Rng(u64::from(seed));
    let mut file = data[..size].to_vec();
    for _ in 0..=rng.below(3) {
        let looks_like_a_card = |at: &usize| {
            file.get(*at..at + 80).is_some_and(|card| {
                card[0].is_ascii_uppercase() && card[..8].iter().all(|b| (b' '..=b'_').contains(b))
            })
        };
        let places: Vec<usize> = (0..size).step_by(80).filter(looks_like_a_card).collect();
        if places.is_empty() {
            break;
        }
        let at = places[rng.below(places.len())];
        let other = places[rng.below(places.len())];
        let key = String::from_utf8_lossy(&file[at..at + 8]).into_owned();
        let card = match rng.below(10) {
            0 => format!("{:<8}= {}", rng.of(KEYS), rng.of(VALUES)),
            1 => String::from_utf8_lossy(&file[other..other + 80]).into_owned(),
            2 => String::new(),
            3 => {
                let block = at / 2880 * 2880;
                let copy: Vec<u8> = file.get(block..block + 2880).unwrap_or(&[]).to_vec();
                let place = other / 2880 * 2880;
                if file.len() + copy.len() <= max {
                    file.splice(place..place, copy);
                }
                continue;
            }
            4 => {
                let length = rng.below(file.len() + 1);
                file.truncate(if rng.below(2) == 0 { length } else { length / 2880 * 2880 });
                continue;
            }
            5 => format!("{key}= {:>20}", rng.below(5000)),
            _ => format!("{key}= {:>20}", rng.of(VALUES)),
        };
        let card = format!("{card:<80.80}");
        if let Some(place) = file.get_mut(at..at + 80).filter(|_| card.len() == 80) {
            place.copy_from_slice(card.as_bytes());
        }
    }
    put(data, &file, max)
}

/// Changes the header of a safetensors file and keeps its length word right; returns the new size.
pub fn model(data: &mut [u8], size: usize, max: usize, seed: u32) -> usize {
    let mut rng = Rng(u64::from(seed));
    let file = data[..size].to_vec();
    let length = file.first_chunk::<8>().map_or(0, |word| u64::from_le_bytes(*word)) as usize;
    let Some(header) = file.get(8..8usize.saturating_add(length)) else {
        return size;
    };
    let mut text = header.to_vec();
    for _ in 0..=rng.below(3) {
        // A run of digits, of letters, or anything short.
        let at = rng.below(text.len());
        let kind = |b: u8| (b.is_ascii_digit() || b == b'.', b.is_ascii_alphabetic() || b == b'_');
        let first = text.get(at).copied().map_or((false, false), kind);
        let end = text[at.min(text.len())..].iter().position(|&b| kind(b) != first);
        let end = end.map_or(text.len(), |n| at + n).max(at);
        let start = text[..at].iter().rposition(|&b| kind(b) != first).map_or(0, |n| n + 1);
        let (start, end) = if rng.below(4) == 0 { (at, at) } else { (start, end) };
        let piece = if rng.below(5) == 0 { "" } else { rng.of(PIECES) };
        text.splice(start..end, piece.bytes());
    }
    let mut changed = (text.len() as u64).to_le_bytes().to_vec();
    changed.extend(text);
    changed.extend(&file[8 + length..]);
    put(data, &changed, max)
}

fn put(data: &mut [u8], file: &[u8], max: usize) -> usize {
    let size = file.len().min(max).min(data.len());
    data[..size].copy_from_slice(&file[..size]);
    size
}
