//! Bytes that nobody wrote: whatever they are, nothing panics, and what is taken has one encoding.

use bytes::Bytes;
use mvcc::hash;
use store::{
    CHUNK_HEADER_BYTES, Command, CommandId, Machine, MachineLoader, MembershipContext, chunk_bytes,
};

use crate::dice::Dice;
use crate::draw::Draw;

const ROUNDS: u64 = 20_000;

/// Changes bytes a little: a bit, a byte, a length, a piece that is taken out, doubled or moved.
fn spoil(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(3) {
        let len = bytes.len().max(1) as u64;
        let (from, to) = (dice.count(len), dice.count(len));
        let piece = from.min(to)..from.max(to);
        match dice.below(7) {
            _ if bytes.is_empty() => bytes.push(1),
            0 => bytes[from] ^= 1 << dice.below(8),
            1 => bytes[from] = dice.pick(&[0, 1, 2, 3, 4, 8, 0x7f, 0x80, 0xff]),
            2 => bytes.truncate(from),
            3 => drop(bytes.drain(piece)),
            4 => bytes.extend_from_within(piece),
            5 => bytes.rotate_left(from),
            _ => {
                let number = dice.pick(&[0, 1, u32::MAX, 1 << 31]).to_le_bytes();
                let end = bytes.len().min(from + 4);
                bytes[from..end].copy_from_slice(&number[..end - from]);
            }
        }
    }
}

fn draw(dice: &mut Dice) -> Draw<'_> {
    Draw { dice, revision: 20 }
}

#[test]
fn no_bytes_make_decoding_panic_and_what_is_decoded_is_encoded_alike() {
    let mut dice = Dice(7);
    let mut machine = Machine::new();
    let mut taken = 0;
    for _ in 0..ROUNDS {
        let command = draw(&mut dice).command();
        let id = draw(&mut dice).id();
        let encoded = command.encode(id);
        assert_eq!(Command::decode(&encoded), Ok((id, command)));
        let mut bytes = encoded.to_vec();
        spoil(&mut dice, &mut bytes);
        let bytes = Bytes::from(bytes);
        let id_alone = CommandId::of_encoded(&bytes);
        let decoded = Command::decode(&bytes);
        if let Ok((id, command)) = &decoded {
            assert_eq!(command.encode(*id), bytes, "{command:?}");
            assert_eq!(id_alone, Ok(*id));
            taken += 1;
        }
        // Whatever is in a log, the machine can go on.
        let applied = machine.apply_encoded(&bytes);
        assert_eq!(applied.map(|(id, _)| id), decoded.map(|(id, _)| id));
    }
    assert!(taken > ROUNDS / 20, "only {taken} commands were still commands");
}

#[test]
fn no_bytes_make_decoding_of_a_context_panic() {
    let mut dice = Dice(8);
    for _ in 0..ROUNDS {
        let mut bytes = draw(&mut dice).membership().encode().to_vec();
        spoil(&mut dice, &mut bytes);
        let bytes = Bytes::from(bytes);
        if let Ok(context) = MembershipContext::decode(&bytes) {
            assert_eq!(context.encode(), bytes, "{context:?}");
        }
    }
}

/// Gives each chunk the length and the checksum that its payload should have: one chain for the
/// machine's own, one for the keys.
fn seal(chunks: &mut [Vec<u8>]) {
    let mut sums = [0, 0];
    for chunk in chunks {
        if chunk.len() < CHUNK_HEADER_BYTES {
            continue;
        }
        let payload_len = (chunk.len() - CHUNK_HEADER_BYTES) as u64;
        chunk[8..16].copy_from_slice(&payload_len.to_le_bytes());
        let sum = &mut sums[usize::from(chunk[..4] == *b"HFCK")];
        *sum = hash(&chunk[CHUNK_HEADER_BYTES..], hash(&chunk[..16], *sum));
        chunk[16..24].copy_from_slice(&sum.to_le_bytes());
    }
}

#[test]
fn no_bytes_make_loading_panic() {
    let mut dice = Dice(9);
    let mut machine = Machine::new();
    for _ in 0..300 {
        let command = draw(&mut dice).command();
        machine.apply(&command);
        machine.apply_membership(&draw(&mut dice).membership());
    }
    let good: Vec<Vec<u8>> = machine.image().chunks().collect();
    let mut taken = 0;
    for _ in 0..ROUNDS / 10 {
        let mut chunks = good.clone();
        let at = dice.count(chunks.len() as u64);
        spoil(&mut dice, &mut chunks[at]);
        if dice.one_in(8) {
            let other = dice.count(chunks.len() as u64);
            chunks.swap(at, other);
        }
        if let Some(header) = chunks[at].first_chunk() {
            let _any_length = chunk_bytes(header);
        }
        if !dice.one_in(10) {
            seal(&mut chunks);
        }
        let mut loader = MachineLoader::new();
        if chunks.iter().all(|chunk| loader.push(chunk).is_ok())
            && let Ok(mut machine) = loader.finish()
        {
            // Other contents than were written, but such as could be: it works with them.
            taken += 1;
            for _ in 0..20 {
                machine.apply(&draw(&mut dice).command());
            }
        }
    }
    assert!(taken > 10, "only {taken} streams were still images");
}
