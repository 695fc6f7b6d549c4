//! Writing: HDU after HDU, checksummed, into a file that appears only when complete.

use std::path::Path;

use ndarray::{ArrayView, Dimension};

use super::card::Card;
use super::checksum;
use crate::atomic::AtomicFile;
use crate::error::Result;

const BLOCK: usize = 2880;

/// The values of one binary-table column.
#[derive(Debug, Clone)]
pub enum ColumnValues {
    /// 32-bit integers (`J`).
    Integer(Vec<i32>),
    /// 64-bit reals (`D`).
    Real(Vec<f64>),
    /// Logicals (`L`).
    Logical(Vec<bool>),
    /// Strings (`A`), as wide as the longest.
    Text(Vec<String>),
}

/// One binary-table column.
#[derive(Debug, Clone)]
pub struct Column {
    /// TTYPE.
    pub name: String,
    /// TUNIT; empty for none.
    pub unit: String,
    /// One value a row.
    pub values: ColumnValues,
}

impl Column {
    /// A column without a unit.
    pub fn new(name: &str, values: ColumnValues) -> Self {
        Self { name: name.into(), unit: String::new(), values }
    }
}

/// A FITS file being written. Dropped without [`FitsOutput::commit`], it leaves nothing behind.
pub struct FitsOutput {
    file: AtomicFile,
}

impl FitsOutput {
    /// Starts a file with a primary HDU that holds no pixels, only `cards`.
    ///
    /// # Errors
    /// [`HostError::Io`](crate::HostError::Io) if the folder cannot be written to.
    pub fn create(path: &Path, cards: &[Card]) -> Result<Self> {
        let mut output = Self { file: AtomicFile::create(path)? };
        let mut head = vec![
            Card::new("SIMPLE", true, "conforms to the FITS standard"),
            Card::new("BITPIX", 8, "no pixels here"),
            Card::new("NAXIS", 0, ""),
            Card::new("EXTEND", true, "extensions follow"),
        ];
        head.extend_from_slice(cards);
        output.write_hdu(head, Vec::new(), 0)?;
        Ok(output)
    }

    /// Appends a 32-bit float image in C order (last axis = NAXIS1).
    ///
    /// # Errors
    /// [`HostError::Io`](crate::HostError::Io).
    pub fn image<D: Dimension>(
        &mut self,
        name: &str,
        version: i64,
        pixels: ArrayView<'_, f32, D>,
        cards: &[Card],
    ) -> Result<()> {
        let bytes = pixels.iter().flat_map(|v| v.to_be_bytes()).collect();
        self.write_image(name, version, -32, pixels.shape(), bytes, cards)
    }

    /// Appends a 16-bit integer image, as HST's DQ arrays are.
    ///
    /// # Errors
    /// [`HostError::Io`](crate::HostError::Io).
    pub fn image_i16<D: Dimension>(
        &mut self,
        name: &str,
        version: i64,
        pixels: ArrayView<'_, i16, D>,
        cards: &[Card],
    ) -> Result<()> {
        let bytes = pixels.iter().flat_map(|v| v.to_be_bytes()).collect();
        self.write_image(name, version, 16, pixels.shape(), bytes, cards)
    }

    fn write_image(
        &mut self,
        name: &str,
        version: i64,
        bitpix: i32,
        shape: &[usize],
        bytes: Vec<u8>,
        cards: &[Card],
    ) -> Result<()> {
        let mut head = vec![
            Card::new("XTENSION", "IMAGE", "image extension"),
            Card::new("BITPIX", bitpix, ""),
            Card::new("NAXIS", shape.len(), ""),
        ];
        for (i, n) in shape.iter().rev().enumerate() {
            head.push(Card::new(&format!("NAXIS{}", i + 1), *n, ""));
        }
        head.push(Card::new("PCOUNT", 0, ""));
        head.push(Card::new("GCOUNT", 1, ""));
        head.push(Card::new("EXTNAME", name, ""));
        head.push(Card::new("EXTVER", version, ""));
        head.extend_from_slice(cards);
        self.write_hdu(head, bytes, 0)
    }

    /// Appends a binary table; every column must have the same number of rows.
    ///
    /// # Errors
    /// [`HostError::Io`](crate::HostError::Io).
    ///
    /// # Panics
    /// If columns differ in length: a mistake of the caller, not of its input.
    pub fn table(&mut self, name: &str, columns: &[Column], cards: &[Card]) -> Result<()> {
        let rows = columns.first().map_or(0, |c| c.values.len());
        assert!(
            columns.iter().all(|c| c.values.len() == rows),
            "columns of {name} differ in length"
        );
        let width: usize = columns.iter().map(|c| c.values.width()).sum();
        let mut head = vec![
            Card::new("XTENSION", "BINTABLE", "binary table"),
            Card::new("BITPIX", 8, ""),
            Card::new("NAXIS", 2, ""),
            Card::new("NAXIS1", width, "bytes a row"),
            Card::new("NAXIS2", rows, "rows"),
            Card::new("PCOUNT", 0, ""),
            Card::new("GCOUNT", 1, ""),
            Card::new("TFIELDS", columns.len(), ""),
        ];
        for (i, column) in columns.iter().enumerate() {
            let n = i + 1;
            head.push(Card::new(&format!("TTYPE{n}"), column.name.as_str(), ""));
            head.push(Card::new(&format!("TFORM{n}"), column.values.form(), ""));
            if !column.unit.is_empty() {
                head.push(Card::new(&format!("TUNIT{n}"), column.unit.as_str(), ""));
            }
        }
        head.push(Card::new("EXTNAME", name, ""));
        head.extend_from_slice(cards);
        let mut bytes = Vec::with_capacity(width * rows);
        for row in 0..rows {
            for column in columns {
                column.values.push(row, &mut bytes);
            }
        }
        self.write_hdu(head, bytes, 0)
    }

    /// Puts the finished file under its name, over an older one if there is one.
    ///
    /// # Errors
    /// [`HostError::Io`](crate::HostError::Io).
    pub fn commit(self) -> Result<()> {
        self.file.commit()
    }

    fn write_hdu(&mut self, mut cards: Vec<Card>, mut pixels: Vec<u8>, fill: u8) -> Result<()> {
        pixels.resize(pixels.len().next_multiple_of(BLOCK), fill);
        let data_sum = checksum::accumulate(0, &pixels);
        if cards.iter().any(Card::is_long) {
            cards.push(Card::new("LONGSTRN", "OGIP 1.0", "CONTINUE cards are used"));
        }
        cards.push(Card::new("DATASUM", data_sum.to_string(), "data checksum"));
        let mut head: Vec<u8> = cards.iter().flat_map(Card::format).collect::<String>().into();
        let at = head.len();
        head.extend(checksum_card("0000000000000000"));
        head.extend(format!("{:<80}", "END").bytes());
        head.resize(head.len().next_multiple_of(BLOCK), b' ');
        let sum = checksum::encode(checksum::accumulate(data_sum, &head));
        head[at..at + 80].copy_from_slice(&checksum_card(&sum));
        self.file.write(&head)?;
        self.file.write(&pixels)
    }
}

fn checksum_card(sum: &str) -> Vec<u8> {
    Card::new("CHECKSUM", sum, "HDU checksum").format()[0].clone().into()
}

impl ColumnValues {
    fn len(&self) -> usize {
        match self {
            Self::Integer(v) => v.len(),
            Self::Real(v) => v.len(),
            Self::Logical(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Integer(_) => 4,
            Self::Real(_) => 8,
            Self::Logical(_) => 1,
            Self::Text(v) => v.iter().map(String::len).max().unwrap_or(1).max(1),
        }
    }

    fn form(&self) -> String {
        match self {
            Self::Integer(_) => "J".into(),
            Self::Real(_) => "D".into(),
            Self::Logical(_) => "L".into(),
            Self::Text(_) => format!("{}A", self.width()),
        }
    }

    fn push(&self, row: usize, bytes: &mut Vec<u8>) {
        match self {
            Self::Integer(v) => bytes.extend(v[row].to_be_bytes()),
            Self::Real(v) => bytes.extend(v[row].to_be_bytes()),
            Self::Logical(v) => bytes.push(if v[row] { b'T' } else { b'F' }),
            Self::Text(v) => {
                let end = bytes.len() + self.width();
                let printable = |b: u8| if (b' '..=b'~').contains(&b) { b } else { b'?' };
                bytes.extend(v[row].bytes().map(printable));
                bytes.resize(end, b' ');
            }
        }
    }
}
