//! `pellucid plot`: a page of what is there, an error that says what is not.

use std::path::Path;
use std::process::{Command, Output};

fn plot(args: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pellucid"));
    command.arg("plot").args(args).output().unwrap()
}

#[test]
fn a_training_log_becomes_a_page_and_another_file_an_error() {
    let folder = std::env::temp_dir().join(format!("pellucid-{}-plot", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let models = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/models"));
    let log = models.join("galaxies64-ve.log.jsonl");
    let (page, text) = (folder.join("page.html"), folder.join("text.txt"));
    std::fs::write(&text, "some text\n").unwrap();
    let o = Path::new("-o");

    let done = plot(&[&log, o, &page]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(std::fs::read_to_string(&page).unwrap().contains("Training of galaxies64-ve"));

    let failed = plot(&[&log, &text, o, &page]);
    let said = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1));
    assert!(said.contains("text.txt, line 1"), "{said}");

    let refused = plot(&[&text, o, &text]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&text).unwrap(), "some text\n");
    std::fs::remove_dir_all(folder).unwrap();
}
