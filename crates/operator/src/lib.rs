//! The operator: looks at a [`crd::RaftCluster`] and at what there is of it, and does the one
//! thing that comes next, until nothing is left to do.
//!
//! ```text
//!   Kubernetes ─► objects ─┐                                   ┌─► Step ─► Kubernetes, or the
//!                          leader ├─► Observed ─► plan::plan() ─► Plan┼─► status ─► kubectl get
//!   the leader ─► members ─┘   (all that    (pure, total)      └─► events
//!                               is known)
//!                    ▲                                                  │
//!                    └────────────────── and once more ─────────────────┘
//! ```
//!
//! # Contract
//!
//! 1. [`plan::plan()`] decides, and nothing else does. It sees no client, no clock but
//!    [`plan::observed::Observed::now`], and no plan that was made before: the same is decided for
//!    the same.
//! 2. A plan has at most one step. Whoever carries it out has no choice left, and may die before,
//!    after, or do it twice: what is deleted is named by its UID, a member by an ID that is never
//!    used again.
//! 3. Objects may be older than they look. The list of members may not: a leader has confirmed it
//!    in the same look, or there is none.
//! 4. The status is written with the version of the object that was read, so that an old view never
//!    overwrites a newer one; and only if it differs.
//!
//! # Invariants
//!
//! - A cluster is founded only if its ID stands nowhere: not in the status, not on a volume, not in
//!   a member. Nothing follows before it stands in the status.
//! - A member is removed only if those that stay are a quorum of what remains; a pod is restarted
//!   only if a quorum serves without it. Where there is one alone, a restart cannot be better.
//! - A volume is deleted only if its member is not in the list that was read in the same look.
//! - There is one learner at most, and one pod at most that does not serve because of us. The
//!   leader goes last, and is moved first.
//! - What is asked for sets the goal, never what is seen. No state is final.
//! - Without a leader nothing is done about members and their volumes; only a pod whose process
//!   does not run is renewed, so that a bad change can be taken back.
//!
//! # Decisions
//!
//! - **Pods first, then members.** A pod with an empty volume waits to be admitted, so that no
//!   learner is listed that never comes.
//! - **The same place, another identity.** Who lost its data is removed, and a new member learns
//!   under the same name: StatefulSets cannot leave a gap.
//! - **A transfer is tried until the operation is overdue.** Then the leader goes anyway, as an
//!   election costs less than an operation that never ends.
//! - **Rows instead of objects.** Of what is followed, [`cache`] keeps what is looked at, some
//!   hundred bytes of 10 KB, sorted by cluster. Nobody is woken by a change of the rest. Keys are
//!   not kept: they are read when a connection to a member has to be made.
//! - **Pauses that grow.** Kubernetes' changes are noticed, so [`pace`] only has to ask for what
//!   is not. A cluster with a leader is asked every 2 s at the latest, as members do not say by
//!   themselves that another one leads; one whose processes run and have no leader after 0.5 s to
//!   8 s; one of which nothing runs after 1 s to 30 s. Whatever changes begins the pauses anew.
//! - **Nothing is done over what was written over.** After a status is written, the older object
//!   is not looked at again. What is refused all the same is tried after 0.1 s to 5 s, and counted
//!   by kind as `holdfast_operator_retries_total`.
//! - **Rounded lag.** What counts as nothing is shown as zero, the rest as a power of two: a
//!   status that changed with every write would be a write of its own.
//!
//! # Left out, and what it would cost
//!
//! - Backups, restoring, growing volumes: a kind of their own each, and steps here.
//! - Winning back a cluster that lost its quorum for good: somebody must choose the survivor.
//! - A connection to each member of each cluster is kept open: asking one member of a calm cluster
//!   would do with a third of them, and a stream of changes of leader with no asking at all.
//! - Waiting at the deletion of an object: there is no finalizer, so that it never hangs.
pub mod apply;
pub mod cache;
pub mod certificates;
pub mod children;
pub mod controller;
pub mod crd;
pub mod http;
pub mod lease;
pub mod members;
pub mod metrics;
pub mod names;
pub mod observe;
pub mod pace;
pub mod plan;
pub mod trial;
