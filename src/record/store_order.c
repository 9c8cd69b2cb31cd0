/* store_order.c: the order of versions: where an entry hangs, and cursors that walk along */
#include "record/store_impl.h"

static struct store_node *node_of(struct list *link)
{
	return container_of(link, struct store_node, link);
}

static struct store_entry *entry_of(struct store_node *node)
{
	return container_of(node, struct store_entry, node);
}

/* Keeps the list in version order. Changes come at the tail. A walk over a table that is here already
 * comes in rising order from far below: searching from the tail each time would be quadratic. */
static void place(struct store *store, struct store_entry *entry)
{
	uint64_t version = entry->node.version;
	struct list *at = &store->by_version;

	if (version < store->head && store->placed && store->placed->node.version <= version) {
		at = store->placed->node.link.next;
		while (at != &store->by_version && (node_of(at)->version == STORE_IS_CURSOR ||
						    node_of(at)->version <= version))
			at = at->next;
	}
	while (at->prev != &store->by_version) {
		struct store_node *before = node_of(at->prev);

		if (before->version != STORE_IS_CURSOR && before->version <= entry->node.version)
			break;
		/* A cursor keeps its place right behind what it has passed. */
		if (before->version == STORE_IS_CURSOR &&
		    container_of(before, struct store_cursor, node)->position <
			    entry->node.version)
			break;
		at = at->prev;
	}
	list_add_before(at, &entry->node.link);
	if (version < store->head)
		store->placed = entry;
}

void store_take_out(struct store *store, struct store_entry *entry)
{
	list_del(&entry->node.link);
	if (store->placed == entry)
		store->placed = NULL;
}

void store_set_version(struct store *store, struct store_entry *entry, uint64_t version)
{
	entry->node.version = version;
	place(store, entry);
	store_raise_head(store, version);
}

void store_forget_tombs(struct store *store, uint64_t version)
{
	struct store_entry *e;

	while ((e = store_cursor_peek(store, &store->tomb_at)) && e->node.version <= version) {
		store_cursor_pass(&store->tomb_at, e);
		if (e->flags & ENTRY_TOMB)
			store_drop(store, e);
	}
}

struct store_entry *store_first_young(const struct store *store, int64_t *ret_due_ns)
{
	struct store_entry *entry;

	if (store->young.next == &store->young)
		return NULL;
	entry = entry_of(node_of(store->young.next));
	if (ret_due_ns)
		*ret_due_ns = (int64_t)entry->node.version;
	return entry;
}

struct store_entry *store_next_young(const struct store *store, const struct store_entry *entry)
{
	struct list *next = entry->node.link.next;

	return next == &store->young ? NULL : entry_of(node_of(next));
}

static struct store_entry *entry_from(const struct store *store, struct list *link)
{
	while (link != &store->by_version && node_of(link)->version == STORE_IS_CURSOR)
		link = link->next;
	return link == &store->by_version ? NULL : entry_of(node_of(link));
}

struct store_entry *store_first(const struct store *store)
{
	return entry_from(store, store->by_version.next);
}

struct store_entry *store_after(const struct store *store, const struct store_entry *entry)
{
	return entry_from(store, entry->node.link.next);
}

void store_cursor_init(struct store *store, struct store_cursor *cursor)
{
	cursor->node.version = STORE_IS_CURSOR;
	cursor->position = 0;
	list_add_before(store->by_version.next, &cursor->node.link);
}

void store_cursor_fini(struct store_cursor *cursor)
{
	list_del(&cursor->node.link);
}

struct store_entry *store_cursor_peek(const struct store *store, const struct store_cursor *cursor)
{
	return entry_from(store, cursor->node.link.next);
}

void store_cursor_pass(struct store_cursor *cursor, struct store_entry *entry)
{
	cursor->position = entry->node.version;
	list_del(&cursor->node.link);
	list_add_before(entry->node.link.next, &cursor->node.link);
}

void store_cursor_seek(struct store *store, struct store_cursor *cursor, uint64_t position)
{
	struct list *at;

	if (position > cursor->position) {
		struct store_entry *e;

		while ((e = store_cursor_peek(store, cursor)) && e->node.version <= position)
			store_cursor_pass(cursor, e);
		cursor->position = position;
		return;
	}
	at = cursor->node.link.prev;
	list_del(&cursor->node.link);
	while (at != &store->by_version && (node_of(at)->version == STORE_IS_CURSOR ||
					    node_of(at)->version > position))
		at = at->prev;
	list_add_before(at->next, &cursor->node.link);
	cursor->position = position;
}

void store_cursor_before(struct store_cursor *cursor, struct store_entry *entry)
{
	cursor->position = entry->node.version - 1;
	list_del(&cursor->node.link);
	list_add_before(&entry->node.link, &cursor->node.link);
}

void store_cursor_join(struct store_cursor *cursor, const struct store_cursor *to)
{
	list_del(&cursor->node.link);
	list_add_before(((struct store_cursor *)to)->node.link.next, &cursor->node.link);
	cursor->position = to->position;
}
