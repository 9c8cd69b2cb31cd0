/* loop_post.c: what reaches a loop from outside its thread: posts, loop_stop(), signals */
#include "base/log.h"
#include "base/loop_impl.h"
#include "base/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void wake(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t n = write(loop->post_fd, &one, sizeof(one));

	(void)n; /* EAGAIN: the counter is full, so the loop wakes anyway */
}

static struct post *take_posts(struct loop *loop)
{
	struct post *first;

	pthread_mutex_lock(&loop->post_lock);
	first = loop->post_first;
	loop->post_first = NULL;
	loop->post_end = &loop->post_first;
	pthread_mutex_unlock(&loop->post_lock);
	return first;
}

static void run_posts(struct post *post)
{
	while (post) {
		struct post *next = post->next;

		post->fn(post->arg);
		free(post);
		post = next;
	}
}

static void posts_on_wake(void *arg, unsigned events)
{
	struct loop *loop = arg;
	uint64_t count;
	ssize_t n = read(loop->post_fd, &count, sizeof(count));

	(void)events;
	(void)n;
	/* The counter is emptied first: a post that comes now wakes the next turn. */
	run_posts(take_posts(loop));
}

void loop_posts_init(struct loop *loop)
{
	pthread_mutexattr_t attr;

	/* A real-time thread posts too; whoever holds the lock must not be kept from the CPU. */
	pthread_mutexattr_init(&attr);
	if (pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) != 0 ||
	    pthread_mutex_init(&loop->post_lock, &attr) != 0)
		pthread_mutex_init(&loop->post_lock, NULL);
	pthread_mutexattr_destroy(&attr);
	loop->post_end = &loop->post_first;
	loop->post_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->post_fd < 0) {
		log_err("loop", "eventfd");
		abort();
	}
	loop->post_watch = watch_new(loop, loop->post_fd, LOOP_READ, LOOP_URGENT, "posts",
				     posts_on_wake, loop);
}

void loop_posts_fini(struct loop *loop)
{
	struct post *posts;

	while ((posts = take_posts(loop)))
		run_posts(posts);
	watch_free(loop->post_watch);
	close(loop->post_fd);
	pthread_mutex_destroy(&loop->post_lock);
}

void loop_post(struct loop *loop, loop_post_fn *fn, void *arg)
{
	struct post *post = xcalloc(1, sizeof(*post));
	bool was_empty;

	post->fn = fn;
	post->arg = arg;
	pthread_mutex_lock(&loop->post_lock);
	was_empty = !loop->post_first;
	*loop->post_end = post;
	loop->post_end = &post->next;
	/* Under the lock: after it the loop may run the post and be freed by it. */
	if (was_empty)
		wake(loop);
	pthread_mutex_unlock(&loop->post_lock);
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->is_stopping, true);
	wake(loop);
}

static void signal_on_readable(void *arg, unsigned events)
{
	struct watch *watch = arg;
	struct signalfd_siginfo info;

	(void)events;
	while (!watch->is_dead && read(watch->fd, &info, sizeof(info)) == sizeof(info))
		watch->signal_fn(watch->signal_arg);
}

struct watch *signal_watch_new(struct loop *loop, int signo, loop_post_fn *fn, void *arg)
{
	struct watch *watch;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, signo);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0) {
		log_err("loop", "signalfd for signal %d", signo);
		abort();
	}
	watch = watch_new(loop, fd, LOOP_READ, LOOP_NORMAL, "signal", signal_on_readable, NULL);
	watch->arg = watch;
	watch->signal_fn = fn;
	watch->signal_arg = arg;
	return watch;
}

void signal_watch_free(struct watch *watch)
{
	int fd;

	if (!watch)
		return;
	fd = watch->fd;
	watch_free(watch);
	close(fd);
}
