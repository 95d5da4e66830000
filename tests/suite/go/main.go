// Uses a cluster as programs in Go do: leases, transactions, a mutex and a watch that goes on, while
// a member is killed. Says "half" when it is to be killed, waits for the file that is its second
// argument, and says "passed" at the end.
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
	puts       = 400
	writers    = 4
	increments = 50
	answerMax  = 5 * time.Second
	wholeMax   = 90 * time.Second
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
		DialTimeout:          answerMax,
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
	for i := range puts {
		if i == puts/2 {
			if err := half(file); err != nil {
				return err
			}
		}
		key, value := fmt.Sprintf("watched/%04d", i), strconv.Itoa(i)
		if err := retry(ctx, func(ctx context.Context) error {
			_, err := client.Put(ctx, key, value)
			return err
		}); err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
	}
	if err := checkTold(ctx, told); err != nil {
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

// half tells that the time has come to kill a member, and waits until it was.
func half(file string) error {
	fmt.Println("half")
	for range 3000 {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("nobody made %s", file)
}

// retry does something that may be done twice until it succeeds.
func retry(ctx context.Context, do func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, answerMax)
		err := do(attempt)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		fmt.Println("again after:", err)
		time.Sleep(20 * time.Millisecond)
	}
}

func keepLease(
	ctx context.Context, client *clientv3.Client,
) (clientv3.LeaseID, <-chan *clientv3.LeaseKeepAliveResponse, error) {
	granted, err := client.Grant(ctx, 5)
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
	told := make(chan *clientv3.Event, 10*puts)
	responses := client.Watch(ctx, "watched/", clientv3.WithPrefix(), clientv3.WithRev(revision))
	go func() {
		defer close(told)
		for response := range responses {
			if err := response.Err(); err != nil {
				fmt.Println("the watch ended:", err)
				return
			}
			for _, event := range response.Events {
				told <- event
			}
		}
	}()
	return told
}

// checkTold reads what was told, until it is the last put: everything, in order.
func checkTold(ctx context.Context, told <-chan *clientv3.Event) error {
	next, latest := 0, int64(0)
	for next < puts {
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
			// A put that was tried twice may have happened twice.
			if got == next {
				next++
			} else if got != next-1 {
				return fmt.Errorf("%d was told, and %d was next", got, next)
			}
		case <-ctx.Done():
			return fmt.Errorf("told up to %d of %d: %w", next, puts, ctx.Err())
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
	first, err := concurrency.NewSession(client, concurrency.WithTTL(5))
	if err != nil {
		return err
	}
	defer first.Close()
	second, err := concurrency.NewSession(client, concurrency.WithTTL(5))
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

func checkLease(
	ctx context.Context, client *clientv3.Client,
	lease clientv3.LeaseID, alive <-chan *clientv3.LeaseKeepAliveResponse,
) error {
	answers := 0
	for {
		select {
		case _, ok := <-alive:
			if !ok {
				return fmt.Errorf("the lease was lost after %d answers", answers)
			}
			answers++
			continue
		default:
		}
		break
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
