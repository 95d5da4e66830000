//! Leases against plain maps.
