//! A FITS reader for these tests only: headers and float images, no scaling, no compression.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Write;
use std::path::PathBuf;

use ndarray::Array2;
use pellucid_exposure::{LookupTable, TableKind};

pub struct Hdu {
    /// 80-character cards, concatenated.
    pub header: String,
    pub raw: Vec<u8>,
}

/// A file of the shared data, or `None` with a loud note when it is not there.
pub fn shared(path: &str) -> Option<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let bytes = std::fs::read(root.join(path)).ok();
    if bytes.is_none() {
        // Straight to the stream: the test harness hides what eprintln! writes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: shared/data/{path} is not there");
    }
    bytes
}

pub fn read(bytes: &[u8]) -> Vec<Hdu> {
    let mut hdus = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let header: Vec<&[u8]> =
            bytes[at..].chunks(80).take_while(|card| !card.starts_with(b"END     ")).collect();
        at = (at + 80 * (header.len() + 1)).next_multiple_of(2880);
        let header: String = header.concat().iter().map(|&b| char::from(b)).collect();
        let count = |key: &str| number(&header, key).unwrap_or(0.0) as usize;
        let pixels = match count("NAXIS") {
            0 => 0,
            n => (1..=n).map(|i| count(&format!("NAXIS{i}"))).product(),
        };
        let bits = number(&header, "BITPIX").unwrap_or(8.0).abs() as usize;
        let size = pixels * bits / 8 + count("PCOUNT");
        let raw = bytes[at..(at + size).min(bytes.len())].to_vec();
        at = (at + size).next_multiple_of(2880);
        hdus.push(Hdu { header, raw });
    }
    hdus
}

/// The value part of a card, without quotes and comment.
pub fn value(header: &str, key: &str) -> Option<String> {
    let stem = format!("{key:8}= ");
    let card = header.as_bytes().chunks(80).map(|c| std::str::from_utf8(c).unwrap_or(""));
    let value = card.into_iter().find_map(|card| card.strip_prefix(&stem))?.trim_start();
    Some(match value.strip_prefix('\'') {
        Some(text) => text.split('\'').next()?.trim_end().to_owned(),
        None => value.split('/').next()?.trim().to_owned(),
    })
}

pub fn number(header: &str, key: &str) -> Option<f64> {
    value(header, key)?.parse().ok()
}

pub fn find<'a>(hdus: &'a [Hdu], name: &str, version: u32) -> &'a Hdu {
    let is = |hdu: &&Hdu| {
        value(&hdu.header, "EXTNAME").as_deref() == Some(name)
            && number(&hdu.header, "EXTVER").unwrap_or(1.0) as u32 == version
    };
    hdus.iter().find(is).unwrap_or_else(|| panic!("no {name} {version}"))
}

/// One plane of a -32 or -64 image.
pub fn plane(hdu: &Hdu, index: usize) -> Array2<f64> {
    let n = |key| number(&hdu.header, key).expect("an image") as usize;
    let (nx, ny) = (n("NAXIS1"), n("NAXIS2"));
    let width = if number(&hdu.header, "BITPIX") == Some(-32.0) { 4 } else { 8 };
    let start = index * nx * ny * width;
    let pixels = hdu.raw[start..start + nx * ny * width].chunks(width).map(|b| match width {
        4 => f64::from(f32::from_be_bytes(b.try_into().expect("four bytes"))),
        _ => f64::from_be_bytes(b.try_into().expect("eight bytes")),
    });
    Array2::from_shape_vec((ny, nx), pixels.collect()).expect("a whole plane")
}

/// The D2IMARR and WCSDVARR tables that an SCI header names.
pub fn tables(hdus: &[Hdu], header: &str) -> Vec<LookupTable> {
    let mut tables = Vec::new();
    for axis in [0, 1] {
        for (key, name) in [("D2IM", "D2IMARR"), ("DP", "WCSDVARR")] {
            let Some(record) = value(header, &format!("{key}{}", axis + 1)) else {
                continue;
            };
            let version = record.strip_prefix("EXTVER: ").expect("EXTVER comes first");
            let version: f64 = version.trim().parse().expect("a version");
            let hdu = find(hdus, name, version as u32);
            let pair =
                |key: &str| ["1", "2"].map(|i| number(&hdu.header, &format!("{key}{i}")).unwrap());
            tables.push(LookupTable {
                kind: if key == "DP" { TableKind::Npol { axis } } else { TableKind::D2im { axis } },
                values: plane(hdu, 0),
                crpix: pair("CRPIX"),
                crval: pair("CRVAL"),
                cdelt: pair("CDELT"),
            });
        }
    }
    tables
}
