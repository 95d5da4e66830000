//! Calls whose answer comes in several messages, drawn when it is complete.

use etcd_api::etcdserverpb as pb;
use tests::Client;

use crate::draw;

/// Reads a range by a stream, puts its parts together, and draws the whole; says so if a promise
/// about the parts was broken.
pub(crate) async fn range_stream(client: &Client, request: pb::RangeRequest) -> String {
    let mut stream = match client.kv().range_stream(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return draw::status(&status),
    };
    let mut whole = pb::RangeResponse::default();
    loop {
        match stream.message().await {
            Ok(Some(part)) => {
                if whole.header.is_some() {
                    return "BROKEN: a part came after the one with the header".to_owned();
                }
                let part = part.range_response.unwrap_or_default();
                if part.header.is_none() && (part.more || part.count != 0) {
                    return "BROKEN: count or more came before the last part".to_owned();
                }
                whole.kvs.extend(part.kvs);
                whole.header = part.header;
                whole.more = part.more;
                whole.count = part.count;
            }
            Ok(None) => return draw::range(&whole),
            Err(status) => return draw::status(&status),
        }
    }
}

/// Keeps a lease alive once, and draws the answer.
pub(crate) async fn keep_alive(client: &Client, id: i64) -> String {
    let answer = async {
        let request = tokio_stream::once(pb::LeaseKeepAliveRequest { id });
        client.lease().lease_keep_alive(request).await?.into_inner().message().await
    };
    draw::result(&answer.await, |response| match response {
        Some(pb::LeaseKeepAliveResponse { header, id, ttl }) => {
            format!("{} lease {id} ttl {ttl}", draw::only_header(header.as_ref()))
        }
        None => "no answer".to_owned(),
    })
}
