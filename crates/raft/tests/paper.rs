//! The rules of the Raft paper and of the thesis, one test for each sentence.
