"use strict";

/**
 * The kinds of messages: what they are called, how they are recognised and how they are drawn.
 *
 * Kinds differ by colour and also by dash, weight or tip, so that no two depend on colour alone.
 * The colours are the custom properties `--kind-…` of the style sheet.
 */
const Kinds = (() => {
  const ALL = [
    {
      key: "prevote",
      name: "Pre-votes",
      about: "“Would you vote for me?”, and the answers",
      words: ["PreVote", "PreVoteResponse"],
      dash: [4, 3],
      width: 1.4,
    },
    {
      key: "vote",
      name: "Votes",
      about: "“Vote for me”, the answers, and the call to campaign at once",
      words: ["RequestVote", "VoteResponse", "TimeoutNow"],
      width: 1.6,
    },
    {
      key: "append",
      name: "Appends",
      about: "Appends that carry entries",
      words: ["Append"],
      width: 1.6,
    },
    {
      key: "answer",
      name: "Answers",
      about: "“My log equals yours up to here, durably”",
      words: ["Accepted"],
      width: 1.2,
    },
    {
      key: "refusal",
      name: "Refusals",
      about: "“The logs do not agree there”, or “your term is over”",
      words: ["Rejected", "StaleTerm"],
      width: 1.4,
      tip: "bar",
    },
    {
      key: "heartbeat",
      name: "Heartbeats",
      about: "Appends without entries, and answers that confirm nothing new",
      words: ["Heartbeat"],
      width: 1,
    },
    {
      key: "snapshot",
      name: "Snapshots",
      about: "Images of the service for members that lag far behind",
      words: ["InstallSnapshot"],
      width: 3,
    },
    {
      key: "read",
      name: "Reads",
      about: "“From which index may I serve a read?”, and the answers",
      words: ["ReadIndex", "ReadIndexResponse"],
      dash: [1.5, 2.5],
      width: 1.6,
    },
    {
      key: "other",
      name: "Others",
      about: "Messages of kinds that this page does not know",
      words: [],
      dash: [8, 3, 2, 3],
      width: 1.2,
    },
  ];

  const byKey = new Map(ALL.map((kind, number) => [kind.key, number]));
  const byWord = new Map(ALL.flatMap((kind, number) => kind.words.map((word) => [word, number])));

  /** The quiet first, so that what is rare and decisive lies on top. */
  const DRAWN = [
    "heartbeat", "answer", "append", "other", "read", "snapshot", "refusal", "prevote", "vote",
  ].map((key) => byKey.get(key));

  /** The number of the kind with this key. */
  const number = (key) => byKey.get(key);

  /** The number of the kind that a message's text belongs to: its first word tells. */
  function ofBody(body) {
    const end = body.indexOf(" ");
    const found = byWord.get(end < 0 ? body : body.slice(0, end));
    return found === undefined ? byKey.get("other") : found;
  }

  /** What is written along an arrow: the part of the message's text that one looks for. */
  function label(body) {
    const [word, ...rest] = body.split(" ");
    const entries = body.match(/\[[^\]]*\]/);
    switch (word) {
      case "Append":
        return entries ? `Append ${entries[0]}` : word;
      case "Accepted":
        return rest[0] ? rest[0].replace("=", " ") : word;
      case "PreVoteResponse":
      case "VoteResponse":
        return rest[0] || word;
      case "Rejected":
      case "ReadIndexResponse":
        return rest.length > 0 ? `${word.replace("Response", "")} ${rest[rest.length - 1]}` : word;
      case "InstallSnapshot":
        return rest[0] ? `Snapshot ${rest[0]}` : word;
      default:
        return word;
    }
  }

  return { ALL, DRAWN, number, ofBody, label };
})();
