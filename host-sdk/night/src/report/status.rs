//! How a target's status is shown.

use maud::{Markup, html};

use crate::state::Status;

/// What needs attention first.
pub(super) const ORDER: [Status; 6] = [
    Status::Quarantined,
    Status::Failed,
    Status::Partial,
    Status::Running,
    Status::Pending,
    Status::Done,
];

/// Its place in [`ORDER`].
pub(super) fn rank(status: Status) -> usize {
    ORDER.iter().position(|s| *s == status).unwrap_or(ORDER.len())
}

/// A badge; the sign says it to those who do not see the colour.
pub(super) fn badge(status: Status) -> Markup {
    let sign = match status {
        Status::Pending => "○",
        Status::Running => "▸",
        Status::Done => "✓",
        Status::Partial => "◐",
        Status::Failed => "✕",
        Status::Quarantined => "⊘",
    };
    html! {
        span.badge.(status.name()) { span aria-hidden="true" { (sign) } " " (status.name()) }
    }
}
