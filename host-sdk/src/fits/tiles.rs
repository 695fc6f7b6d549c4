//! What cfitsio must not see.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const CARD: usize = 80;
/// Cards read at a time: 1 MiB.
const CHUNK: usize = 13_107;

/// Finds a tile size (ZTILEn of a tile-compressed image) that is not a positive integer: cfitsio up to
/// 4.2 divides by it as soon as it looks at the HDU, which ends the process.
///
/// Every 80 bytes that could be such a card are looked at, whichever HDU they are in, since a damaged
/// file need not have its headers where they seem to be. The inside of a gzipped file is not looked at.
///
/// # Errors
/// Of reading.
pub(super) fn bad_tile(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CARD * CHUNK];
    loop {
        let mut filled = 0;
        while filled < chunk.len() {
            match file.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let bad = chunk[..filled].chunks_exact(CARD).find(|card| !is_sound(card));
        if let Some(card) = bad {
            return Ok(Some(String::from_utf8_lossy(card).trim_end().to_owned()));
        }
        if filled < chunk.len() {
            return Ok(None);
        }
    }
}

/// Whether a card is no tile size, or a sound one.
fn is_sound(card: &[u8]) -> bool {
    if !card.starts_with(b"ZTILE") || !card[5].is_ascii_digit() {
        return true;
    }
    let text = String::from_utf8_lossy(&card[8..]);
    let value = text.trim_start_matches('=').split('/').next().unwrap_or_default();
    value.trim().parse::<i32>().is_ok_and(|tile| tile > 0)
}

#[cfg(test)]
mod tests {
    use super::is_sound;

    #[test]
    fn tile_sizes_are_positive_integers() {
        let sound = |card: &str| is_sound(format!("{card:<80}").as_bytes());
        assert!(sound("ZTILE1  =                   64 / pixels") && sound("ZTILE   = 0"));
        for card in ["ZTILE1  =                    0", "ZTILE2  =", "ZTILE2  = '8'", "ZTILE10 = -1"]
        {
            assert!(!sound(card), "{card}");
        }
    }
}
