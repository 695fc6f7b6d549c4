//! Manifests: the documented example, tables, and errors that say where and what.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use pellucid_host::fits::{Column, ColumnValues, Extension, FitsOutput};
use pellucid_host::input::SkyLevel;
use pellucid_host::ndarray;
use pellucid_night::Night;

/// A folder of the test's own, gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("pellucid-manifest-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const HEAD: &str = "format = 1\n[defaults]\npsf = 'psf.fits'\nprior = 'p'\n";

fn parse(text: &str) -> Result<Night, String> {
    Night::parse(text, Path::new("/night/one.toml")).map_err(|e| e.to_string())
}

#[track_caller]
fn fails(text: &str, words: &[&str]) {
    let error = parse(text).unwrap_err();
    assert!(error.contains("/night/one.toml"), "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
}

#[test]
fn the_documented_example() {
    let folder = Folder::new("example");
    let text = include_str!("../src/manifest/example.toml");
    folder.write(
        "targets.csv",
        "name, ra, dec, exposures, sky, samples\nx, 1.5, -2, a_*.fits; b.fits, header,\n",
    );
    let night = Night::read(&folder.write("NIGHT.toml", text)).unwrap();
    assert_eq!(night.name, "2026-11-28");
    assert_eq!(night.output, folder.0.join("out"));
    assert_eq!((night.run.in_flight.0, night.run.backoff_s.0, night.slurm.workers.0), (4, 5.0, 2));
    let names: Vec<_> = night.targets.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["ngc1", "faint", "x"]);
    let [ngc1, faint, x] = &night.targets[..] else { panic!() };
    let here = |name: &str| folder.0.join(name).to_string_lossy().into_owned();
    assert_eq!(ngc1.psf, [here("psf_grid.fits")]);
    assert_eq!(ngc1.settings.prior, "galaxies64-ve");
    assert_eq!((ngc1.settings.size, ngc1.settings.samples, ngc1.settings.seed), (Some(64), 32, 1));
    assert_eq!(ngc1.settings.position.unwrap().ra_deg, 150.1);
    assert_eq!(faint.settings.sky, SkyLevel::Value(0.01));
    assert_eq!(faint.settings.sigma, Some(0.002));
    assert_eq!(faint.psf, [here("psf_1.fits"), here("psf_2.fits")]);
    assert!(faint.settings.psf_options.centre.is_some() && faint.settings.pixel_area_corrected);
    let exposures = faint.resolve().unwrap().exposures;
    assert_eq!(exposures[1].extension, Some(Extension::Name("SCI".into(), Some(1))));
    assert_eq!(x.exposures, [here("a_*.fits"), here("b.fits")]);
    assert_eq!((x.settings.sky, x.settings.samples), (SkyLevel::Header, 32));
    assert_eq!(x.origin, "targets.csv line 2");
}

/// Every key that a target can have is in the example.
#[test]
fn the_example_is_complete() {
    let error = parse(&format!("{HEAD}[[target]]\nfrobnicate = 1\n")).unwrap_err();
    let known = error.split("expected one of").nth(1).unwrap();
    let example = include_str!("../src/manifest/example.toml");
    let keys = known.split('`').skip(1).step_by(2);
    for key in keys {
        let there = example.lines().any(|line| line.split('=').next().unwrap().trim() == key);
        assert!(there, "{key}");
    }
}

#[test]
fn globs_are_looked_up_when_they_are_needed() {
    let folder = Folder::new("glob");
    let text = format!("{HEAD}[[target]]\nname = 'a'\nexposures = 'in/e_*.fits[SCI,2]'\n");
    let night = Night::read(&folder.write("n.toml", &text)).unwrap();
    assert_eq!(night.output, folder.0.join("n.night"));
    let fault = night.targets[0].resolve().unwrap_err();
    assert!(fault.reason.contains("in/e_*.fits") && fault.reason.contains("no file"), "{fault:?}");
    for name in ["in/e_2.fits", "in/e_1.fits", "in/other.fits"] {
        folder.write(name, "");
    }
    let found = night.targets[0].resolve().unwrap().exposures;
    let names: Vec<_> = found.iter().map(|a| a.to_string()).collect();
    let here = |name: &str| folder.0.join(name).display().to_string();
    assert_eq!(names, [here("in/e_1.fits[SCI,2]"), here("in/e_2.fits[SCI,2]")]);
}

#[test]
fn errors_name_line_key_and_need() {
    fails("format = 2\n[[target]]\n", &["line 1", "format", "needed 1", "got 2"]);
    fails("name = 'x'\n", &["format"]);
    fails(HEAD, &["[[target]]", "got none"]);
    fails("format = 1\nnightname = 'x'\n", &["line 2", "nightname"]);
    let target =
        |line: &str| format!("{HEAD}[[target]]\nname = 'a'\nexposures = 'e.fits'\n{line}\n");
    assert!(parse(&target("")).is_ok());
    for (line, words) in [
        ("sampels = 3", &["line 8", "sampels", "samples"][..]),
        ("samples = 0", &["line 8", "whole number from 1", "got 0"]),
        ("samples = 2.5", &["line 8", "whole number", "2.5"]),
        ("samples = 'many'", &["line 8", "a number", "many"]),
        ("sigma = -1.0", &["line 8", "positive", "-1"]),
        ("ra = 400.0\ndec = 2.0", &["line 8", "0 to 360", "400"]),
        ("ra = 1.0", &["line 5", "target a", "key dec", "got nothing"]),
        ("dec = 1.0", &["line 5", "target a", "key ra", "got nothing"]),
        ("sampler = 'magic'", &["line 8", "calibrated", "magic"]),
        ("sky = 'blue'", &["line 8", "none, header", "blue"]),
        ("psf = []", &["line 8", "path"]),
        ("psf_centre = '8.25,8'", &["line 8", "half-integer"]),
        ("seed = -1", &["line 8", "-1"]),
        ("name = 'b'", &["line 8", "duplicate key"]),
    ] {
        fails(&target(line), words);
    }
    for name in ["", ".a", "a b", "a/b", "ü"] {
        let text = format!("{HEAD}[[target]]\nname = '{name}'\nexposures = 'e.fits'\n");
        fails(&text, &["line 6", "letters", name]);
    }
    fails(&format!("{HEAD}[[target]]\nexposures = 'e'\n"), &["line 5", "key name"]);
    fails(&format!("{HEAD}[[target]]\nname = 'a'\n"), &["line 5", "target a", "key exposures"]);
    let bare = "format = 1\n[[target]]\nname = 'a'\nexposures = 'e'\n";
    fails(bare, &["line 2", "key psf", "[defaults]"]);
    fails(&format!("{bare}psf = 'p'\n"), &["key prior"]);
    fails("format = 1\n[defaults]\nra = 1.0\n", &["[defaults]", "key ra"]);
    fails("format = 1\n[run]\nin_flight = 0\n", &["line 3", "from 1", "got 0"]);
    let twice = format!("{}[[target]]\nname = 'a'\nexposures = 'f'\n", target(""));
    fails(&twice, &["line 9", "a is taken", "line 5"]);
}

#[test]
fn tables_that_cannot_be() {
    let folder = Folder::new("csv");
    let manifest = folder.write("n.toml", &format!("targets = 't.csv'\n{HEAD}"));
    let fails = |csv: &str, words: &[&str]| {
        folder.write("t.csv", csv);
        let error = Night::read(&manifest).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word:?} is not in: {error}");
        }
    };
    fails("name,exposures,sampels\n", &["t.csv", "column sampels", "samples"]);
    fails("name,name\n", &["t.csv", "column name", "twice"]);
    fails("name,exposures,samples\na,e,4\nb,e,x\n", &["t.csv", "line 3", "samples", "number", "x"]);
    fails("name,exposures,samples\na,e,0\n", &["t.csv", "line 2", "samples", "from 1", "0"]);
    fails("name,exposures\na,e\n a ,f\n", &["t.csv line 3", "a is taken", "line 2"]);
    fails("name,exposures\na,e,7\n", &["t.csv", "line: 2"]);
    fails("name,ra\na,3\n", &["t.csv line 2", "target a", "key dec"]);
    std::fs::remove_file(folder.0.join("t.csv")).unwrap();
    let error = Night::read(&manifest).unwrap_err().to_string();
    assert!(error.contains("t.csv") && error.contains("No such file"), "{error}");
}

#[test]
fn a_fits_table() {
    let folder = Folder::new("fits");
    let path = folder.0.join("sub/targets.fits");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = |values: &[&str]| ColumnValues::Text(values.iter().map(|v| (*v).into()).collect());
    let mut file = FitsOutput::create(&path, &[]).unwrap();
    file.image("OTHER", 1, Array2::<f32>::zeros((2, 2)).view(), &[]).unwrap();
    let columns = [
        Column::new("NAME", text(&["a", "bb"])),
        Column::new("exposures", text(&["e1.fits;e2.fits", "../f.fits"])),
        Column::new("ra", ColumnValues::Real(vec![1.5, f64::NAN])),
        Column::new("dec", ColumnValues::Real(vec![-2.5, f64::NAN])),
        Column::new("samples", ColumnValues::Integer(vec![3, 5])),
        Column::new("unit", text(&["", "counts"])),
    ];
    file.table("TARGETS", &columns, &[]).unwrap();
    file.commit().unwrap();
    let night =
        Night::read(&folder.write("n.toml", &format!("targets = 'sub/targets.fits'\n{HEAD}")));
    let night = night.unwrap();
    let [a, b] = &night.targets[..] else { panic!() };
    assert_eq!((a.name.as_str(), b.name.as_str()), ("a", "bb"));
    assert_eq!(a.exposures[1], folder.0.join("sub/e2.fits").to_string_lossy());
    assert_eq!(a.psf[0], folder.0.join("psf.fits").to_string_lossy());
    assert_eq!(a.settings.position.unwrap().dec_deg, -2.5);
    assert_eq!((b.settings.position, b.settings.samples), (None, 5));
    assert_eq!((a.settings.unit.as_deref(), b.settings.unit.as_deref()), (None, Some("counts")));
    assert_eq!(b.origin, "targets.fits row 2");
}
