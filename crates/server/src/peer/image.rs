//! Images on their way between members, each on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use raft::{Body, MemberId, Message};
use replica::{Event, PeerMessage};
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use super::hello::{Purpose, Verdict};
use super::net::{Frames, Stream, call, read_hello};
use super::wire::{message, put_frame, put_message};
use super::{Link, Local};

/// An end of the connection that neither reads nor writes for this long is given up.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What stands before each piece of an image.
const PIECE: u8 = 1;
/// Says that the image is whole.
const END: u8 = 2;
/// The answer, when the image is on the receiver's disk.
const RECEIVED: u8 = 3;

/// Sends an image in the background. The replica hears of it if that fails.
pub(crate) fn send(local: &Arc<Local>, link: &Arc<Link>, announced: Message) {
    let (local, link) = (local.clone(), link.clone());
    tokio::spawn(async move {
        let to = announced.to;
        let peer = format!("{:x}", to.0);
        match send_whole(&local, &link, announced).await {
            Ok(bytes) => info!(peer, bytes, "sent an image to a peer"),
            Err(error) => {
                warn!(peer, error = format!("{error:#}"), "an image could not be sent to a peer");
                local.shared.inbox.push(Event::SnapshotFailed(to));
            }
        }
    });
}

async fn send_whole(local: &Local, link: &Link, announced: Message) -> Result<u64> {
    let Body::InstallSnapshot { snapshot } = &announced.body else {
        bail!("no image is announced by {:?}", announced.body)
    };
    let (images, token) = (local.images.clone(), snapshot.data.clone());
    let mut reader = spawn_blocking(move || images.read(&token)).await??;
    let mut stream = dial(local, link, announced.to).await?;
    let mut frame = Vec::new();
    put_message(&mut frame, &PeerMessage::Raft(announced));
    let mut sent = 0;
    loop {
        timeout(STALL_TIMEOUT, stream.write_all(&frame)).await.context("the peer stalls")??;
        let (back, chunk) = spawn_blocking(move || {
            let chunk = reader.next();
            (reader, chunk)
        })
        .await?;
        reader = back;
        let Some(chunk) = chunk else { break };
        let chunk = chunk?;
        sent += chunk.len() as u64;
        frame.clear();
        put_frame(&mut frame, |out| {
            out.push(PIECE);
            out.extend_from_slice(&chunk);
        });
    }
    frame.clear();
    put_frame(&mut frame, |out| out.push(END));
    stream.write_all(&frame).await?;
    stream.flush().await?;
    let answer = timeout(STALL_TIMEOUT, read_hello(&mut stream)).await.context("no receipt")??;
    ensure!(*answer == [RECEIVED], "the peer did not take it");
    Ok(sent)
}

async fn dial(local: &Local, link: &Link, to: MemberId) -> Result<Stream> {
    let hello = local.hello(Purpose::Image, to.0);
    let mut last = anyhow::anyhow!("no address of the peer is known");
    for url in link.urls() {
        match call(&url, local.tls.as_ref(), &hello).await {
            Ok((stream, Verdict::Welcome)) => return Ok(stream),
            Ok((_, verdict)) => last = anyhow::anyhow!("the peer answers {verdict:?}"),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Takes in an image, and gives it to the replica when it is on the disk.
pub(crate) async fn receive(local: &Arc<Local>, mut stream: Stream, from: u64) -> Result<()> {
    let mut frames = Frames::default();
    let mut pieces = next(&mut frames, &mut stream).await?.into_iter();
    let first = pieces.next().context("the connection began with nothing")?;
    let PeerMessage::Raft(announced) = message(first)? else { bail!("no image was announced") };
    ensure!(announced.from == MemberId(from), "an image that another member announces");
    let images = local.images.clone();
    let mut receiver = spawn_blocking(move || images.receive(&announced)).await??;
    loop {
        for piece in pieces {
            match piece.first() {
                Some(&PIECE) => {
                    receiver = spawn_blocking(move || {
                        receiver.push(&piece[1..])?;
                        Ok::<_, replica::Fault>(receiver)
                    })
                    .await??;
                }
                Some(&END) => {
                    let message = spawn_blocking(move || receiver.finish()).await??;
                    local.shared.inbox.push(Event::SnapshotReceived { message });
                    let mut receipt = Vec::new();
                    put_frame(&mut receipt, |out| out.push(RECEIVED));
                    stream.write_all(&receipt).await?;
                    stream.shutdown().await?;
                    return Ok(());
                }
                found => bail!("a piece of an image that begins with {found:?}"),
            }
        }
        pieces = next(&mut frames, &mut stream).await?.into_iter();
    }
}

async fn next(frames: &mut Frames, stream: &mut Stream) -> Result<Vec<bytes::Bytes>> {
    let read = timeout(STALL_TIMEOUT, frames.read(stream)).await.context("the peer stalls")?;
    read?.context("the connection ended before the image did")
}
