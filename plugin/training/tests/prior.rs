//! `pellucid-train prior` end to end on a tiny net.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn train(run: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pellucid-train"));
    command.args([
        "prior",
        "--scene-count",
        "16",
        "--size",
        "32",
        "--batch",
        "2",
        "--widths",
        "8,8",
    ]);
    command.args(["--attention-head", "8", "--blocks", "1", "--warm-up", "2", "--run"]).arg(run);
    command.args(more).output().expect("because the binary was built for this test")
}

/// The same bits in one go and stopped after every step: `--minutes 0` ends a run after one step.
#[test]
fn a_resumed_run_is_the_uninterrupted_one() {
    let (whole, pieces) = (folder("whole"), folder("pieces"));
    let out = train(&whole, &["--steps", "3", "--checkpoint-every", "3"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for _ in 0..3 {
        let out = train(&pieces, &["--steps", "3", "--minutes", "0"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    for file in ["prior.safetensors", "samples_000003.png"] {
        let [a, b] = [&whole, &pieces].map(|run| std::fs::read(run.join(file)).expect(file));
        assert!(a == b, "{file} differs");
    }
    let log = std::fs::read_to_string(pieces.join("log.jsonl")).expect("a log");
    assert_eq!(log.lines().filter(|l| l.contains("validation_loss")).count(), 3);
}

#[test]
fn a_checkpoint_of_another_run_is_refused_by_name() {
    let run = folder("mismatch");
    assert!(train(&run, &["--steps", "1"]).status.success());
    let out = train(&run, &["--steps", "2", "--seed", "9"]);
    assert!(!out.status.success());
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(message.contains("checkpoint.safetensors") && message.contains("--run"), "{message}");
}
