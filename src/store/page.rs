//! Which part of a list is wanted, and that part.

/// A window into an ordered list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Items skipped.
    pub offset: u32,
    /// Items returned at most; not above `PAGE_ITEMS_MAX`.
    pub limit: u32,
}

/// The items of one page and how many there are in all.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    /// In the order the list defines.
    pub items: Vec<T>,
    /// All that match, on every page.
    pub total: u64,
}
