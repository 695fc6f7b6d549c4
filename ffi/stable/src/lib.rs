//! An abi_stable root module over the Pellucid C ABI, for Rust hosts.
//!
//! The contract is the C table. This module stands beside it and adds what a C symbol cannot: it says
//! how every struct and table of the plugin is laid out, and abi_stable checks the module's own type
//! and version before anything of it is used.
#![forbid(unsafe_code)]

use std::ffi::c_void;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RStr, RVec, Tuple2};
use pellucid_ffi as ffi;

/// What the plugin's library offers a Rust host.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PellucidModuleRef)))]
#[sabi(missing_field(panic))]
pub struct PellucidModule {
    /// How its structs and tables are laid out.
    pub layouts: extern "C" fn() -> RVec<Layout>,
    /// The `pellucid_api` of a breaking level, or NULL: what `pellucid_get_api` returns.
    #[sabi(last_prefix_field)]
    pub api: extern "C" fn(abi: u32) -> *const c_void,
}

impl RootModule for PellucidModuleRef {
    abi_stable::declare_root_module_statics! {PellucidModuleRef}
    const BASE_NAME: &'static str = "pellucid";
    const NAME: &'static str = "pellucid";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// Size and fields of a struct.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Name in the header.
    pub name: RStr<'static>,
    /// Size in bytes.
    pub size: usize,
    /// Name and offset in bytes of every field, in order.
    pub fields: RVec<Tuple2<RStr<'static>, usize>>,
}

macro_rules! layouts {
    ($($name:ident)*) => {
        [$((stringify!($name), size_of::<ffi::$name>(), ffi::$name::FIELDS)),*]
    };
}

/// Every struct and table of the C ABI, as compiled into this library.
pub extern "C" fn layouts() -> RVec<Layout> {
    let all = layouts! {
        pellucid_array pellucid_host pellucid_device pellucid_lookup_table pellucid_wcs_callback
        pellucid_psf_callback pellucid_exposure_desc pellucid_job_desc pellucid_progress pellucid_mem
        pellucid_api pellucid_predict_ext
    };
    let layout = |(name, size, fields): (&'static str, usize, &[(&'static str, usize)])| Layout {
        name: name.into(),
        size,
        fields: fields.iter().map(|(name, offset)| Tuple2((*name).into(), *offset)).collect(),
    };
    all.into_iter().map(layout).collect()
}

/// Structs only ever grow at the end: the first field, if any, in which two versions of one disagree.
pub fn conflict(ours: &[Layout], theirs: &[Layout]) -> Option<String> {
    let same = |name: &RStr<'_>| theirs.iter().find(|layout| layout.name == *name);
    let pairs = ours.iter().filter_map(|ours| Some((ours, same(&ours.name)?)));
    pairs.into_iter().find_map(|(ours, theirs)| {
        let mut fields = ours.fields.iter().zip(&theirs.fields);
        let (need, got) = fields.find(|(need, got)| need != got)?;
        let name = &ours.name;
        Some(format!("{name}.{} at {}, got {name}.{} at {}", need.0, need.1, got.0, got.1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_no_conflict_and_a_moved_field_is() {
        let ours = layouts();
        let mut theirs = layouts();
        let end = theirs[0].size;
        theirs[0].fields.push(Tuple2("more".into(), end));
        theirs[0].size = end + 8;
        theirs.push(Layout { name: "pellucid_new".into(), size: 4, fields: RVec::new() });
        assert_eq!(conflict(&ours, &theirs), None);
        assert_eq!(conflict(&theirs, &ours), None);
        theirs[1].fields[2].1 += 8;
        let found = conflict(&ours, &theirs).expect("a field has moved");
        assert_eq!(found, "pellucid_host.ctx at 8, got pellucid_host.ctx at 16");
    }
}
