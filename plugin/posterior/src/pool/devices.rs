//! The devices of this machine, listed without starting CUDA.

use serde::Serialize;
use std::fs;

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

/// A device of this machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceInfo {
    /// CPU or GPU.
    pub kind: DeviceKind,
    /// -1 for the CPU, else the position among the GPUs, ordered by PCI address.
    pub index: i32,
    /// Product name.
    pub name: String,
    /// Bytes of memory; 0 when it is not known without starting the device.
    pub mem_total: u64,
    /// Bytes of memory that are free; 0 when not known.
    pub mem_free: u64,
}

/// The CPU, then the GPUs the NVIDIA driver lists under `/proc/driver/nvidia/gpus`.
///
/// No thread is started and no driver is opened; whether libtorch can use a GPU shows when an
/// engine is created on it.
pub fn devices() -> Vec<DeviceInfo> {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let memory = text("/proc/meminfo");
    let cpu = DeviceInfo {
        kind: DeviceKind::Cpu,
        index: -1,
        name: field(&text("/proc/cpuinfo"), "model name").unwrap_or_else(|| "CPU".into()),
        mem_total: kibibytes(&memory, "MemTotal"),
        mem_free: kibibytes(&memory, "MemAvailable"),
    };
    let mut folders: Vec<_> = fs::read_dir("/proc/driver/nvidia/gpus")
        .map(|dir| dir.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    folders.sort();
    let gpus = folders.iter().zip(0..).map(|(folder, index)| {
        let information = fs::read_to_string(folder.join("information")).unwrap_or_default();
        let name = field(&information, "Model").unwrap_or_else(|| "NVIDIA GPU".into());
        DeviceInfo { kind: DeviceKind::Cuda, index, name, mem_total: 0, mem_free: 0 }
    });
    std::iter::once(cpu).chain(gpus).collect()
}

/// Resident memory of this process (now, peak), bytes; 0 where `/proc` does not say.
pub(super) fn resident_bytes() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    (kibibytes(&status, "VmRSS"), kibibytes(&status, "VmHWM"))
}

/// Main memory of the machine, bytes; 0 where `/proc` does not say.
pub(super) fn memory_total() -> u64 {
    kibibytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal")
}

/// The value of the first line `key : value`.
fn field(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

fn kibibytes(text: &str, key: &str) -> u64 {
    let value = field(text, key).and_then(|v| v.trim_end_matches("kB").trim().parse::<u64>().ok());
    value.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_comes_first() {
        let list = devices();
        assert_eq!((list[0].kind, list[0].index), (DeviceKind::Cpu, -1));
        assert!(list[1..].iter().all(|device| device.kind == DeviceKind::Cuda));
    }

    #[test]
    fn proc_fields() {
        let text = "MemTotal:       16 kB\nmodel name\t: A: fast one\n";
        assert_eq!(kibibytes(text, "MemTotal"), 16 * 1024);
        assert_eq!(field(text, "model name").as_deref(), Some("A: fast one"));
        assert_eq!(kibibytes(text, "VmRSS"), 0);
    }
}
