//! Bytes as choices.

use std::ffi::CString;

/// What is left of an input. At its end every choice is the usual one.
pub(super) struct Take<'a>(pub(super) &'a [u8]);

impl<'a> Take<'a> {
    pub(super) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    /// The next `n` bytes, or as many as there are.
    pub(super) fn part(&mut self, n: usize) -> Take<'a> {
        let (part, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        Take(part)
    }

    /// Whether to do something unusual.
    pub(super) fn odd(&mut self) -> bool {
        self.byte() >= 192
    }

    pub(super) fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.byte() as usize % list.len()].clone()
    }

    fn word(&mut self) -> [u8; 8] {
        std::array::from_fn(|_| self.byte())
    }

    pub(super) fn integer(&mut self, usual: i64) -> i64 {
        if !self.odd() {
            return usual;
        }
        const ODD: [i64; 21] = [
            0,
            1,
            2,
            3,
            -1,
            5,
            9,
            99,
            4096,
            4097,
            32_768,
            32_769,
            1 << 28,
            1 << 40,
            i32::MAX as i64,
            i32::MIN as i64,
            u32::MAX as i64,
            i64::MAX,
            i64::MIN,
            i64::MAX / 8,
            i64::MIN + 1,
        ];
        match self.byte() as usize {
            k if k < 128 => ODD[k % ODD.len()],
            k if k < 192 => k as i64 - 160,
            _ => i64::from_le_bytes(self.word()),
        }
    }

    pub(super) fn int(&mut self, usual: i32) -> i32 {
        self.integer(i64::from(usual)) as i32
    }

    pub(super) fn word32(&mut self, usual: u32) -> u32 {
        self.integer(i64::from(usual)) as u32
    }

    pub(super) fn size(&mut self, usual: usize) -> usize {
        self.integer(usual as i64) as usize
    }

    pub(super) fn real(&mut self, usual: f64) -> f64 {
        if !self.odd() {
            return usual;
        }
        const ODD: [f64; 16] = [
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            -1.0,
            1e-3,
            90.0,
            -90.0,
            360.0,
            3600.0,
            1e18,
        ];
        match self.byte() as usize {
            k if k < 192 => ODD[k % ODD.len()],
            _ => f64::from_bits(u64::from_le_bytes(self.word())),
        }
    }

    /// One of the texts; unusually NULL, or the bytes that are left.
    pub(super) fn text(&mut self, texts: &[&str]) -> Option<CString> {
        if !self.odd() {
            return Some(CString::new(self.of(texts)).expect("texts without NUL"));
        }
        if self.byte().is_multiple_of(4) {
            return None;
        }
        let bytes: Vec<u8> =
            std::mem::take(&mut self.0).iter().copied().filter(|b| *b != 0).collect();
        Some(CString::new(bytes).expect("NULs are filtered out"))
    }
}
