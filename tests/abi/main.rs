//! What every caller may assume of the C ABI, over the stub engine in this process.

mod arrays;
mod callbacks;
mod exposures;
mod misuse;
mod null;
mod panics;
mod reentrancy;
mod results;
mod slots;
mod structs;
