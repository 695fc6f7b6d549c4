//! Contact sheet of scenes, asinh stretch: `sheet OUT.png [SEED] [COLUMNS] [ZOOM]`.

use std::{fs::File, io::BufWriter, time::Instant};

use pellucid_scene::{SceneConfig, galaxy};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let out = args.next().ok_or("usage: sheet OUT.png [SEED] [COLUMNS] [ZOOM]")?;
    let mut number = |default: usize| args.next().map_or(Ok(default), |a| a.parse());
    let (seed, columns, zoom) = (number(1)?, number(8)?, number(3)?);
    let config = SceneConfig::default();
    let start = Instant::now();
    let scenes: Vec<_> =
        (0..columns * columns).map(|k| galaxy(&config, seed as u64, k as u64)).collect();
    eprintln!("{:.2} ms a scene", start.elapsed().as_secs_f64() * 1e3 / scenes.len() as f64);

    let tile = config.size * zoom;
    let side = tile * columns;
    let mut pixels = vec![0u8; side * side];
    for (i, scene) in scenes.iter().enumerate() {
        let white = (scene.fold(0f32, |m, v| m.max(*v)) / 0.01).asinh();
        for y in 0..tile {
            for x in 0..tile {
                // y grows upwards.
                let v = (scene[[config.size - 1 - y / zoom, x / zoom]] / 0.01).asinh() / white;
                pixels[(i / columns * tile + y) * side + i % columns * tile + x] =
                    (255.0 * v) as u8;
            }
        }
    }
    let mut png = png::Encoder::new(BufWriter::new(File::create(out)?), side as u32, side as u32);
    png.set_color(png::ColorType::Grayscale);
    png.write_header()?.write_image_data(&pixels)?;
    Ok(())
}
