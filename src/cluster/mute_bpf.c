/* mute_bpf.c: BPF back end of the mute: loads or adopts the program, writes the lease by mmap */
#include "cluster/mute_impl.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "bpf/lease.h"
#include "bpf/objects.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct mute_bpf {
	struct bpf_object *object;
	struct fk_lease *lease; /* the map itself; one page */
	int prog_fd;
};

static size_t lease_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE); /* sizeof(struct fk_lease) rounded up */
}

static int lease_mmap(int map_fd, struct fk_lease **ret_lease)
{
	void *p = mmap(NULL, lease_size(), PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret_lease = p;
	return 0;
}

/* A new descriptor of the lease map that an attached program uses; -ENOENT when it has none like
 * ours (another layout), or the errno of looking. */
static int lease_of_program(uint32_t prog_id, int *ret_fd, uint32_t *ret_map_id)
{
	struct bpf_prog_info prog = {0};
	uint32_t map_ids[8], len = sizeof(prog);
	int fd = bpf_prog_get_fd_by_id(prog_id), r;

	if (fd < 0)
		return -errno;
	prog.nr_map_ids = 8;
	prog.map_ids = (uint64_t)(uintptr_t)map_ids;
	r = bpf_obj_get_info_by_fd(fd, &prog, &len) < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < prog.nr_map_ids && i < 8; i++) {
		struct bpf_map_info map = {0};

		len = sizeof(map);
		fd = bpf_map_get_fd_by_id(map_ids[i]);
		if (fd < 0)
			return -errno;
		if (bpf_obj_get_info_by_fd(fd, &map, &len) == 0 && map.type == BPF_MAP_TYPE_ARRAY &&
		    map.value_size == sizeof(struct fk_lease) && (map.map_flags & BPF_F_MMAPABLE) &&
		    strcmp(map.name, FK_LEASE_NAME) == 0) {
			*ret_fd = fd;
			*ret_map_id = map_ids[i];
			return 0;
		}
		close(fd);
	}
	return -ENOENT;
}

/* The one lease map that all attached programs of ours share. -ENOENT: there is none, or they
 * disagree; then a fresh one is right. An interface without a program does not matter: it is
 * given the shared one (a device that was made again while the daemon was away). */
static int lease_find(const struct mute_ifaces *ifaces, int *ret_fd)
{
	uint32_t found_id = 0;
	int found_fd = -1, r;

	for (unsigned i = 0; i < ifaces->count; i++) {
		int ifindex = (int)if_nametoindex(ifaces->names[i]);
		struct mute_tc tc;

		if (ifindex == 0)
			continue;
		r = mute_tc_read(ifindex, &tc);
		if (r < 0)
			goto fail;
		for (unsigned hook = 0; hook < MUTE_TC_HOOKS; hook++) {
			uint32_t map_id;
			int fd;

			if (!tc.prog_id[hook])
				continue;
			r = lease_of_program(tc.prog_id[hook], &fd, &map_id);
			if (r < 0)
				goto fail;
			if (found_fd >= 0)
				close(fd);
			else
				found_fd = fd;
			if (found_id && found_id != map_id) {
				r = -ENOENT;
				goto fail;
			}
			found_id = map_id;
		}
	}
	if (found_fd < 0)
		return -ENOENT;
	*ret_fd = found_fd;
	return 0;
fail:
	if (found_fd >= 0)
		close(found_fd);
	return r;
}

/* Remembers in the map, which outlives us, whose clsact qdisc is ours. */
static void lease_note_clsact(struct fk_lease *lease, int ifindex, bool is_ours)
{
	unsigned at = FK_LEASE_IFACES;

	for (unsigned i = 0; i < FK_LEASE_IFACES; i++) {
		if (lease->made_clsact[i] == (uint32_t)ifindex)
			lease->made_clsact[i] = 0;
		if (lease->made_clsact[i] == 0 && at == FK_LEASE_IFACES)
			at = i;
	}
	if (is_ours && at < FK_LEASE_IFACES)
		lease->made_clsact[at] = (uint32_t)ifindex;
}

static bool lease_has_clsact(const struct fk_lease *lease, int ifindex)
{
	for (unsigned i = 0; i < FK_LEASE_IFACES; i++) {
		if (lease->made_clsact[i] == (uint32_t)ifindex)
			return true;
	}
	return false;
}

static int attach(struct mute_bpf *bpf, const char *ifname)
{
	int ifindex = (int)if_nametoindex(ifname), r;
	bool made_clsact;

	if (ifindex == 0)
		return -ENODEV;
	r = mute_tc_attach(ifindex, bpf->prog_fd, &made_clsact);
	if (r == 0 && made_clsact)
		lease_note_clsact(bpf->lease, ifindex, true);
	return r;
}

/* Lines of libbpf: its failures are told by our own log, with the decision they led to. */
static int on_print(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int load(struct mute_bpf *bpf, int lease_fd)
{
	struct bpf_object_open_opts opts = {.sz = sizeof(opts), .object_name = FK_MUTE_NAME};
	struct bpf_map *map;
	int r;

	bpf->object = bpf_object__open_mem(mute_object, mute_object_size, &opts);
	if (!bpf->object)
		return -errno;
	map = bpf_object__find_map_by_name(bpf->object, FK_LEASE_NAME);
	if (!map)
		return -ENOENT;
	if (lease_fd >= 0) {
		r = bpf_map__reuse_fd(map, lease_fd);
		if (r < 0)
			return r;
	}
	r = bpf_object__load(bpf->object);
	if (r < 0)
		return r;
	bpf->prog_fd = bpf_program__fd(bpf_object__find_program_by_name(bpf->object, FK_MUTE_NAME));
	return lease_mmap(bpf_map__fd(map), &bpf->lease);
}

static void bpf_close(void *state)
{
	struct mute_bpf *bpf = state;

	if (bpf->lease)
		munmap(bpf->lease, lease_size());
	bpf_object__close(bpf->object);
	free(bpf);
}

static int bpf_open(const struct mute_ifaces *ifaces, void **ret_state)
{
	struct mute_bpf *bpf = xcalloc(1, sizeof(*bpf));
	int lease_fd = -1, r;
	unsigned done = 0;

	libbpf_set_print(on_print);
	r = lease_find(ifaces, &lease_fd);
	if (r == -EPERM) /* bpf_prog_get_fd_by_id() wants CAP_SYS_ADMIN, attaching does not */
		log_warnx("mute", "may not look for an earlier daemon's lease: starting muted");
	else if (r < 0 && r != -ENOENT)
		goto fail;
	r = load(bpf, lease_fd);
	if (r < 0)
		goto fail;
	for (; done < ifaces->count; done++) {
		r = attach(bpf, ifaces->names[done]);
		if (r == -ENODEV) {
			log_warnx("mute", "%s: no such interface yet", ifaces->names[done]);
			continue;
		}
		if (r < 0) {
			log_warnx("mute", "%s: cannot attach: %s", ifaces->names[done],
				  strerror(-r));
			goto undo;
		}
	}
	if (lease_fd >= 0)
		close(lease_fd);
	*ret_state = bpf;
	return 0;
undo:
	/* Fresh and muted, but by half: another back end must start on clean ground. */
	for (unsigned i = 0; lease_fd < 0 && i < done; i++) {
		int ifindex = (int)if_nametoindex(ifaces->names[i]);

		if (ifindex)
			(void)mute_tc_detach(ifindex, lease_has_clsact(bpf->lease, ifindex));
	}
fail:
	if (lease_fd >= 0)
		close(lease_fd);
	bpf_close(bpf);
	return r;
}

static int bpf_ensure(void *state, const struct mute_ifaces *ifaces)
{
	struct mute_bpf *bpf = state;
	int count = 0, result = 0;

	for (unsigned i = 0; i < ifaces->count; i++) {
		int ifindex = (int)if_nametoindex(ifaces->names[i]), r;
		struct mute_tc tc;

		if (ifindex == 0)
			continue;
		r = mute_tc_read(ifindex, &tc);
		if (r == 0 && tc.prog_id[0] && tc.prog_id[1])
			continue;
		if (r == 0)
			r = attach(bpf, ifaces->names[i]);
		if (r == 0)
			count++;
		else if (result == 0)
			result = r;
	}
	return result < 0 ? result : count;
}

static struct mute_adopted bpf_adopted(const void *state)
{
	const struct mute_bpf *bpf = state;

	return (struct mute_adopted){
		.is_forwarding = bpf->lease->deadline_ns == (uint64_t)MONO_NEVER.ns,
		.term = bpf->lease->term,
	};
}

static int bpf_grant(void *state, mono_t deadline, uint64_t term)
{
	struct fk_lease *lease = ((struct mute_bpf *)state)->lease;

	lease->term = term;
	__atomic_store_n(&lease->deadline_ns, (uint64_t)deadline.ns, __ATOMIC_RELEASE);
	return 0;
}

static int bpf_revoke(void *state, uint64_t term)
{
	struct fk_lease *lease = ((struct mute_bpf *)state)->lease;

	__atomic_store_n(&lease->deadline_ns, 0, __ATOMIC_RELEASE);
	lease->term = term;
	return 0;
}

static struct mute_stats bpf_stats(const void *state)
{
	const struct mute_bpf *bpf = state;

	return (struct mute_stats){
		.passed = __atomic_load_n(&bpf->lease->passed, __ATOMIC_RELAXED),
		.muted = __atomic_load_n(&bpf->lease->muted, __ATOMIC_RELAXED),
	};
}

static int bpf_release(const char *ifname)
{
	int ifindex = (int)if_nametoindex(ifname), r, map_fd;
	struct fk_lease *lease = NULL;
	bool is_our_clsact = false;
	struct mute_tc tc;
	uint32_t map_id;

	if (ifindex == 0)
		return -ENODEV;
	r = mute_tc_read(ifindex, &tc);
	if (r < 0 || (!tc.prog_id[0] && !tc.prog_id[1]))
		return r;
	/* Without the right to read the map (no CAP_BPF) the filters go and the qdisc stays. */
	if (lease_of_program(tc.prog_id[0] ? tc.prog_id[0] : tc.prog_id[1], &map_fd, &map_id) ==
	    0) {
		if (lease_mmap(map_fd, &lease) == 0) {
			is_our_clsact = lease_has_clsact(lease, ifindex);
			lease_note_clsact(lease, ifindex, false);
			munmap(lease, lease_size());
		}
		close(map_fd);
	}
	return mute_tc_detach(ifindex, is_our_clsact);
}

const struct mute_ops mute_bpf_ops = {
	.name = "bpf",
	.open = bpf_open,
	.close = bpf_close,
	.ensure = bpf_ensure,
	.adopted = bpf_adopted,
	.grant = bpf_grant,
	.revoke = bpf_revoke,
	.stats = bpf_stats,
	.release = bpf_release,
};
