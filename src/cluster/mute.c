/* mute.c: the doorway of the mute: chooses a back end, keeps the names, clears leftovers */
#include "cluster/mute.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "cluster/mute_impl.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

struct mute {
	const struct mute_ops *ops;
	void *state;
	struct mute_ifaces ifaces;
};

static const struct mute_ops *const backends[] = {
	[MUTE_BPF] = &mute_bpf_ops,
	[MUTE_NFT] = &mute_nft_ops,
};

/* A daemon that comes back with other rights may find the other back end's mute: two would
 * disagree for ever, so only the new one stays. It is muted when that happens. */
static void clear_other(const struct mute *mute)
{
	const struct mute_ops *other = mute->ops == &mute_bpf_ops ? &mute_nft_ops : &mute_bpf_ops;

	for (unsigned i = 0; i < mute->ifaces.count; i++) {
		int r = other->release(mute->ifaces.names[i]);

		if (r < 0 && r != -ENODEV && r != -EPERM)
			log_warnx("mute", "%s: cannot remove the %s mute of an earlier daemon: %s",
				  mute->ifaces.names[i], other->name, strerror(-r));
	}
}

int mute_open(enum mute_backend backend, const char *const *ifnames, unsigned count,
	      struct mute **ret_mute)
{
	struct mute *mute = xcalloc(1, sizeof(*mute));
	int r;

	mute->ifaces.names = xcalloc(count ? count : 1, sizeof(*mute->ifaces.names));
	mute->ifaces.count = count;
	for (unsigned i = 0; i < count; i++) {
		if (strlen(ifnames[i]) >= IF_NAMESIZE) {
			r = -EINVAL;
			goto fail;
		}
		memcpy(mute->ifaces.names[i], ifnames[i], strlen(ifnames[i]));
	}
	mute->ops = backends[backend == MUTE_NFT ? MUTE_NFT : MUTE_BPF];
	r = mute->ops->open(&mute->ifaces, &mute->state);
	if (r < 0 && backend == MUTE_AUTO) {
		log_info("mute", "no BPF here (%s): using nftables", strerror(-r));
		mute->ops = &mute_nft_ops;
		r = mute->ops->open(&mute->ifaces, &mute->state);
	}
	if (r < 0)
		goto fail;
	clear_other(mute);
	*ret_mute = mute;
	return 0;
fail:
	free(mute->ifaces.names);
	free(mute);
	return r;
}

void mute_close(struct mute *mute)
{
	if (!mute)
		return;
	mute->ops->close(mute->state);
	free(mute->ifaces.names);
	free(mute);
}

int mute_ensure(struct mute *mute)
{
	return mute->ops->ensure(mute->state, &mute->ifaces);
}

struct mute_adopted mute_adopted(const struct mute *mute)
{
	return mute->ops->adopted(mute->state);
}

const char *mute_backend_name(const struct mute *mute)
{
	return mute->ops->name;
}

int mute_grant(struct mute *mute, mono_t deadline, uint64_t term)
{
	return mute->ops->grant(mute->state, deadline, term);
}

int mute_revoke(struct mute *mute, uint64_t term)
{
	return mute->ops->revoke(mute->state, term);
}

struct mute_stats mute_stats(const struct mute *mute)
{
	return mute->ops->stats(mute->state);
}

int mute_release(const char *ifname)
{
	int bpf, nft;

	if (strlen(ifname) >= IF_NAMESIZE)
		return -EINVAL;
	bpf = mute_bpf_ops.release(ifname);
	nft = mute_nft_ops.release(ifname);
	return bpf < 0 ? bpf : nft;
}
