// Uses a cluster as programs in Go do: leases, transactions, a mutex and a watch that goes on, while
// a member is killed. Says "half" when it is to be killed, learns by the file that is its second
// argument that it was, and says "passed" at the end. The cluster must be empty.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

const (
	// How many keys are written, one half before a member is killed, the other since; those that
	// are written meanwhile come on top.
	puts = 400
	// How many sides increment one number, and how often each.
	writers    = 4
	increments = 25
	// How long a lease lives, in seconds, if nobody keeps it alive.
	life = 6
	// How long one attempt may take, and everything.
	attemptMax = 5 * time.Second
	wholeMax   = 120 * time.Second
)

func main() {
	if len(os.Args) != 3 {
		fmt.Println("usage: program ENDPOINT,… FILE")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wholeMax)
	defer cancel()
	if err := run(ctx, strings.Split(os.Args[1], ","), os.Args[2]); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("passed")
}

func run(ctx context.Context, endpoints []string, file string) error {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		DialTimeout:          attemptMax,
		DialKeepAliveTime:    6 * time.Second,
		DialKeepAliveTimeout: 2 * time.Second,
	})
	if err != nil {
		return err
	}
	defer client.Close()
	lease, alive, err := keepLease(ctx, client)
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	told := watch(ctx, client, 1)
	written := 0
	for since := 0; since < puts/2; written++ {
		if written == puts/2 {
			fmt.Println("half")
		}
		if _, err := os.Stat(file); written >= puts/2 && err == nil {
			if since == 0 {
				drain(alive)
			}
			since++
		}
		key := fmt.Sprintf("watched/%06d", written)
		if err := create(ctx, client, key, strconv.Itoa(written)); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	if err := checkTold(ctx, told, written); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if err := count(ctx, client); err != nil {
		return fmt.Errorf("counter: %w", err)
	}
	if err := lock(ctx, client); err != nil {
		return fmt.Errorf("mutex: %w", err)
	}
	return checkLease(ctx, client, lease, alive)
}

// drain forgets the answers that have come.
func drain(alive <-chan *clientv3.LeaseKeepAliveResponse) {
	for {
		select {
		case _, ok := <-alive:
			if !ok {
				return
			}
		default:
			return
		}
	}
}

// create makes a key by a transaction that does nothing if it is there: so it can be tried until its
// outcome is known, and happens once.
func create(ctx context.Context, client *clientv3.Client, key, value string) error {
	for tries := 1; ; tries++ {
		attempt, cancel := context.WithTimeout(ctx, attemptMax)
		response, err := client.Txn(attempt).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, value)).
			Else(clientv3.OpGet(key)).
			Commit()
		cancel()
		switch {
		case err == nil && response.Succeeded:
			return nil
		case err == nil:
			there := response.Responses[0].GetResponseRange().Kvs
			if tries == 1 || len(there) != 1 || string(there[0].Value) != value {
				return fmt.Errorf("it was there, as %v, at attempt %d", there, tries)
			}
			return nil
		case ctx.Err() != nil:
			return err
		}
		fmt.Println("again after:", err)
		time.Sleep(20 * time.Millisecond)
	}
}

func keepLease(
	ctx context.Context, client *clientv3.Client,
) (clientv3.LeaseID, <-chan *clientv3.LeaseKeepAliveResponse, error) {
	granted, err := client.Grant(ctx, life)
	if err != nil {
		return 0, nil, err
	}
	if _, err := client.Put(ctx, "leased", "", clientv3.WithLease(granted.ID)); err != nil {
		return 0, nil, err
	}
	alive, err := client.KeepAlive(ctx, granted.ID)
	return granted.ID, alive, err
}

// watch passes on what is told of the keys that are put, from a revision on.
func watch(ctx context.Context, client *clientv3.Client, revision int64) <-chan *clientv3.Event {
	told := make(chan *clientv3.Event, puts)
	responses := client.Watch(ctx, "watched/", clientv3.WithPrefix(), clientv3.WithRev(revision))
	go func() {
		defer close(told)
		for response := range responses {
			if err := response.Err(); err != nil {
				fmt.Println("the watch ended:", err)
				return
			}
			for _, event := range response.Events {
				select {
				case told <- event:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return told
}

// checkTold reads what was told, until it is the last key: each once, in order.
func checkTold(ctx context.Context, told <-chan *clientv3.Event, written int) error {
	next, latest := 0, int64(0)
	for next < written {
		select {
		case event, ok := <-told:
			if !ok {
				return fmt.Errorf("it ended before %d", next)
			}
			if event.Kv.ModRevision <= latest {
				return fmt.Errorf("%d after %d", event.Kv.ModRevision, latest)
			}
			latest = event.Kv.ModRevision
			got, err := strconv.Atoi(string(event.Kv.Value))
			if err != nil {
				return err
			}
			if got != next {
				return fmt.Errorf("%d was told, and %d was next", got, next)
			}
			next++
		case <-ctx.Done():
			return fmt.Errorf("told up to %d of %d: %w", next, written, ctx.Err())
		}
	}
	return nil
}

// count increments a number from several sides, by transactions.
func count(ctx context.Context, client *clientv3.Client) error {
	var group sync.WaitGroup
	failures := make(chan error, writers)
	for range writers {
		group.Add(1)
		go func() {
			defer group.Done()
			for range increments {
				if err := increment(ctx, client); err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	group.Wait()
	close(failures)
	if err := <-failures; err != nil {
		return err
	}
	response, err := client.Get(ctx, "counter")
	if err != nil {
		return err
	}
	if got := string(response.Kvs[0].Value); got != strconv.Itoa(writers*increments) {
		return fmt.Errorf("%s instead of %d", got, writers*increments)
	}
	return nil
}

func increment(ctx context.Context, client *clientv3.Client) error {
	_, err := concurrency.NewSTM(client, func(stm concurrency.STM) error {
		number, _ := strconv.Atoi(stm.Get("counter"))
		stm.Put("counter", strconv.Itoa(number+1))
		return nil
	}, concurrency.WithAbortContext(ctx))
	return err
}

// lock holds a mutex that another session waits for.
func lock(ctx context.Context, client *clientv3.Client) error {
	first, err := concurrency.NewSession(client, concurrency.WithTTL(life))
	if err != nil {
		return err
	}
	defer first.Close()
	second, err := concurrency.NewSession(client, concurrency.WithTTL(life))
	if err != nil {
		return err
	}
	defer second.Close()
	held, wanted := concurrency.NewMutex(first, "mutex"), concurrency.NewMutex(second, "mutex")
	if err := held.Lock(ctx); err != nil {
		return err
	}
	if err := wanted.TryLock(ctx); err != concurrency.ErrLocked {
		return fmt.Errorf("a mutex that is held could be had: %v", err)
	}
	if err := held.Unlock(ctx); err != nil {
		return err
	}
	return wanted.Lock(ctx)
}

// checkLease waits until the lease is kept alive once more, and revokes it.
func checkLease(
	ctx context.Context, client *clientv3.Client,
	lease clientv3.LeaseID, alive <-chan *clientv3.LeaseKeepAliveResponse,
) error {
	select {
	case _, ok := <-alive:
		if !ok {
			return fmt.Errorf("the lease was lost")
		}
	case <-ctx.Done():
		return fmt.Errorf("the lease is not kept alive: %w", ctx.Err())
	}
	left, err := client.TimeToLive(ctx, lease, clientv3.WithAttachedKeys())
	if err != nil {
		return err
	}
	if left.TTL <= 0 || len(left.Keys) != 1 {
		return fmt.Errorf("a lease that is kept alive has %d s and %d keys", left.TTL, len(left.Keys))
	}
	if _, err := client.Revoke(ctx, lease); err != nil {
		return err
	}
	response, err := client.Get(ctx, "leased")
	if err == nil && response.Count != 0 {
		err = fmt.Errorf("the key of a lease that was revoked is there")
	}
	return err
}
