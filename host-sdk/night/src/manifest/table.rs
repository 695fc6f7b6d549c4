//! Targets from a CSV file or a FITS table: every row a set of keys.

use std::path::Path;

use pellucid_host::fits::{FitsInput, Header};
use serde::Deserialize;
use toml::Value;

use super::settings::{Kind, Settings};
use crate::error::{NightError, Result};

/// A row's keys and where it is.
pub type Row = (Settings, String);

/// Reads a table: FITS if it starts as FITS files do, else CSV.
///
/// # Errors
/// [`NightError::Manifest`] naming row and column.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    // A device or a pipe may have no end.
    let is_file = std::fs::metadata(path).map_err(NightError::io("read", path))?.is_file();
    if !is_file {
        let reason = "needed a CSV file or a FITS table, got no regular file".into();
        return Err(NightError::Manifest { path: path.into(), reason });
    }
    let bytes = std::fs::read(path).map_err(NightError::io("read", path))?;
    let rows = match bytes.starts_with(b"SIMPLE  =") || bytes.starts_with(&[0x1f, 0x8b]) {
        true => fits(path),
        false => csv(path, &bytes),
    };
    rows.map_err(|reason| NightError::Manifest { path: path.into(), reason })
}

fn csv(path: &Path, bytes: &[u8]) -> Result<Vec<Row>, String> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(bytes);
    let keys: Vec<String> =
        reader.headers().map_err(|e| e.to_string())?.iter().map(str::to_owned).collect();
    check(&keys)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| e.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells =
            keys.iter().zip(&record).map(|(key, cell)| (key.as_str(), Cell::Text(cell.into())));
        rows.push(row(cells, &format!("line {line}"), path)?);
    }
    Ok(rows)
}

fn fits(path: &Path) -> Result<Vec<Row>, String> {
    let mut file = FitsInput::open(path).map_err(|e| e.to_string())?;
    let is_table = |header: &Header| header.integer("TFIELDS").is_some_and(|n| n > 0);
    let table = file.hdus().iter().find(|hdu| is_table(&hdu.header) && hdu.shape.is_empty());
    let table = table.cloned().ok_or("needed a binary table with columns, got none")?;
    let columns = table.header.integer("TFIELDS").unwrap_or(0);
    let mut keys = Vec::new();
    let mut values: Vec<Vec<Cell>> = Vec::new();
    for k in 1..=columns {
        let text = |stem: &str| table.header.string(&format!("{stem}{k}")).unwrap_or("");
        let name = text("TTYPE").trim();
        let key = name.to_ascii_lowercase();
        let form = text("TFORM").trim().to_ascii_uppercase();
        let column = match form.chars().find(char::is_ascii_alphabetic) {
            Some('A') => {
                let cells = file.text_column(table.index, name).map_err(|e| e.to_string())?;
                cells.into_iter().map(|cell| Cell::Text(cell.trim().into())).collect()
            }
            Some('B' | 'I' | 'J' | 'K' | 'E' | 'D') => {
                let cells = file.column(table.index, name).map_err(|e| e.to_string())?;
                cells.into_iter().map(Cell::Number).collect()
            }
            _ => return Err(format!("column {key}: needed text or numbers, got TFORM {form:?}")),
        };
        keys.push(key);
        values.push(column);
    }
    check(&keys)?;
    let count = values.iter().map(Vec::len).min().unwrap_or(0);
    let at =
        |k: usize| keys.iter().map(String::as_str).zip(values.iter().map(move |c| c[k].clone()));
    (0..count).map(|k| row(at(k), &format!("row {}", k + 1), path)).collect()
}

/// A cell as its file has it.
#[derive(Debug, Clone)]
enum Cell {
    Text(String),
    Number(f64),
}

/// Columns are keys, each once.
fn check(keys: &[String]) -> Result<(), String> {
    for (k, key) in keys.iter().enumerate() {
        if Settings::kind(key).is_none() {
            return Err(format!("column {key}: needed one of {}", Settings::KEYS.join(", ")));
        }
        if keys[..k].contains(key) {
            return Err(format!("column {key}: it comes twice"));
        }
    }
    Ok(())
}

fn row<'a>(
    cells: impl Iterator<Item = (&'a str, Cell)>,
    at: &str,
    path: &Path,
) -> Result<Row, String> {
    let mut table = toml::Table::new();
    for (key, cell) in cells {
        let value = value(key, &cell).map_err(|need| match &cell {
            Cell::Text(text) => format!("{at}, column {key}: needed {need}, got {text:?}"),
            Cell::Number(number) => format!("{at}, column {key}: needed {need}, got {number}"),
        })?;
        let Some(value) = value else { continue };
        // One key alone, so that an error can name it.
        let one = toml::Table::from_iter([(key.to_owned(), value.clone())]);
        Settings::deserialize(Value::Table(one))
            .map_err(|e| format!("{at}, column {key}: {}", e.message()))?;
        table.insert(key.into(), value);
    }
    let settings = Settings::deserialize(Value::Table(table)).map_err(|e| format!("{at}: {e}"))?;
    let file = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Ok((settings, format!("{file} {at}")))
}

/// A cell under its key; `None` if it is empty.
fn value(key: &str, cell: &Cell) -> Result<Option<Value>, &'static str> {
    let text = match cell {
        Cell::Text(text) if text.is_empty() => return Ok(None),
        Cell::Number(number) if number.is_nan() => return Ok(None),
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
    };
    Ok(Some(match Settings::kind(key).unwrap_or(Kind::Text) {
        Kind::Text => Value::String(text),
        Kind::List => {
            let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::String(part.into())).collect())
        }
        Kind::Logical => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "1" => Value::Boolean(true),
            "false" | "f" | "no" | "0" => Value::Boolean(false),
            _ => return Err("true or false"),
        },
        Kind::Number => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(integer), _) => Value::Integer(integer),
            (_, Ok(real)) => Value::Float(real),
            _ => return Err("a number"),
        },
    }))
}
