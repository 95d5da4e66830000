//! A hash of 64 bits for checksums and for comparing members: XXH64, by its published definition.
//!
//! It finds damage and divergence. It does not protect against somebody who wants a collision.

const PRIMES: [u64; 5] = [
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0x85EB_CA77_C2B2_AE63,
    0x27D4_EB2F_1656_67C5,
];

/// Returns the hash (XXH64) of `bytes`, for checksums and for comparing members. A chain is made by
/// giving the hash so far as the seed.
pub fn hash(bytes: &[u8], seed: u64) -> u64 {
    let mut stripes = bytes.chunks_exact(32);
    let mut sum = if bytes.len() < 32 {
        seed.wrapping_add(PRIMES[4])
    } else {
        let mut lanes = [
            seed.wrapping_add(PRIMES[0]).wrapping_add(PRIMES[1]),
            seed.wrapping_add(PRIMES[1]),
            seed,
            seed.wrapping_sub(PRIMES[0]),
        ];
        for stripe in &mut stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.chunks_exact(8)) {
                *lane = round(*lane, word64(word));
            }
        }
        let mixed = lanes[0]
            .rotate_left(1)
            .wrapping_add(lanes[1].rotate_left(7))
            .wrapping_add(lanes[2].rotate_left(12))
            .wrapping_add(lanes[3].rotate_left(18));
        lanes.iter().fold(mixed, |sum, lane| {
            (sum ^ round(0, *lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3])
        })
    };
    sum = sum.wrapping_add(bytes.len() as u64);
    avalanche(tail(stripes.remainder(), sum))
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

/// Takes in what is left behind the stripes: words of eight bytes, one of four, single bytes.
fn tail(rest: &[u8], mut sum: u64) -> u64 {
    let mut words = rest.chunks_exact(8);
    for word in &mut words {
        sum ^= round(0, word64(word));
        sum = sum.rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
    }
    let mut halves = words.remainder().chunks_exact(4);
    for half in &mut halves {
        let half = u32::from_le_bytes(half.try_into().expect("a chunk of four bytes"));
        sum ^= u64::from(half).wrapping_mul(PRIMES[0]);
        sum = sum.rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
    }
    for byte in halves.remainder() {
        sum ^= u64::from(*byte).wrapping_mul(PRIMES[4]);
        sum = sum.rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    sum
}

fn avalanche(mut sum: u64) -> u64 {
    sum = (sum ^ (sum >> 33)).wrapping_mul(PRIMES[1]);
    sum = (sum ^ (sum >> 29)).wrapping_mul(PRIMES[2]);
    sum ^ (sum >> 32)
}

fn word64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("a chunk of eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn hash_is_the_published_one() {
        assert_eq!(hash(b"", 0), 0xEF46_DB37_51D8_E999);
        assert_eq!(hash(b"abc", 0), 0x44BC_2CF5_AD77_0999);
    }

    #[test]
    fn every_bit_of_every_length_counts() {
        let bytes: Vec<u8> = (0..80).collect();
        for len in 0..bytes.len() {
            let whole = hash(&bytes[..len], 7);
            assert_ne!(whole, hash(&bytes[..len], 8), "seed is ignored at length {len}");
            for bit in 0..len * 8 {
                let mut flipped = bytes[..len].to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(whole, hash(&flipped, 7), "bit {bit} of {len} bytes is ignored");
            }
        }
    }
}
