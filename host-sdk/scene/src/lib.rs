//! Simulated galaxies with the parameter distributions of COSMOS, fields of them, and detector noise.
//!
//! A scene is a pure function of `(config, seed, k)`: [`Galaxy::draw`] draws the parameters of one
//! galaxy, [`Galaxy::render`] draws it on a pixel grid. Sky is exactly zero and every profile
//! reaches zero smoothly, so a scene can be padded or resampled without an edge.
//!
//! Units: lengths are pixels of the model grid (0.03 arcsec by default), angles radians from +x
//! towards +y, fluxes e-/s (F814W, zero point 25.94 AB), surface brightness e-/s per model pixel.

#![deny(unsafe_code)]

pub mod field;
pub mod noise;

mod clump;
mod config;
mod disc;
mod draw;
mod edge_on;
mod galaxy;
mod profile;
mod render;
mod spheroid;
mod texture;

/// Number of the population: it changes when `galaxy(config, seed, k)` of the default configuration does.
pub const POPULATION: u32 = 2;

pub use clump::Clump;
pub use config::{LogNormal, Ranges, SceneConfig};
pub use disc::{Arms, Bar, Disc, Lopsided, Patches, Ring};
pub use edge_on::{EdgeOn, Lane};
pub use galaxy::{Galaxy, Kind, galaxy};
pub use spheroid::Spheroid;
