/* replay_main.c: runs a fuzz target over a directory of seeds, and over mutations of each
 *
 * replay_main DIR [MUTATIONS [SEED]]: TAP, one line per file. The same arguments give the same
 * inputs, so a crash is found again by running it again (under a debugger).
 */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

enum { INPUT_BYTES = 1 << 16, MUTATIONS = 3000, SEED = 20261121, NAME_BYTES = 4096 };

static uint64_t draw(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* One small change; returns the new length. */
static size_t mutate(uint64_t *x, uint8_t *bytes, size_t len)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xff };
	size_t at = len ? draw(x) % len : 0, n = len ? 1 + draw(x) % (len - at) : 0;

	switch (len ? draw(x) % 7 : 5) {
	case 0:
		bytes[at] ^= (uint8_t)(1 << draw(x) % 8);
		return len;
	case 1:
		bytes[at] = (uint8_t)draw(x);
		return len;
	case 2:
		bytes[at] = edges[draw(x) % sizeof(edges)];
		return len;
	case 3: /* the end is missing */
		return at;
	case 4: /* the middle is missing */
		memmove(bytes + at, bytes + at + n, len - at - n);
		return len - n;
	case 5: /* one byte more */
		if (len == INPUT_BYTES)
			return len;
		memmove(bytes + at + 1, bytes + at, len - at);
		bytes[at] = (uint8_t)draw(x);
		return len + 1;
	default: /* a part twice */
		n = n < 64 ? n : 64;
		if (len + n > INPUT_BYTES)
			return len;
		memmove(bytes + at + n, bytes + at, len - at);
		return len + n;
	}
}

/* In a block of exactly that size, so that ASan sees a read behind the end. */
static void run(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, bytes, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static size_t read_seed(const char *directory, const char *name, uint8_t *bytes)
{
	char path[NAME_BYTES];
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (!file) {
		perror(path);
		exit(1);
	}
	len = fread(bytes, 1, INPUT_BYTES, file);
	fclose(file);
	return len;
}

static void replay(const uint8_t *seed, size_t seed_len, unsigned long mutations, uint64_t x)
{
	static uint8_t bytes[INPUT_BYTES];

	run(seed, seed_len);
	for (unsigned long i = 0; i < mutations; i++) {
		size_t len = seed_len;

		memcpy(bytes, seed, seed_len);
		for (uint64_t n = 1 + draw(&x) % 4; n--;)
			len = mutate(&x, bytes, len);
		run(bytes, len);
	}
}

static int is_seed(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	unsigned long mutations = argc > 2 ? strtoul(argv[2], NULL, 0) : MUTATIONS;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : SEED;
	static uint8_t bytes[INPUT_BYTES];
	struct dirent **names;
	int count = argc > 1 ? scandir(argv[1], &names, is_seed, alphasort) : -1;

	if (count <= 0 || seed == 0) {
		fprintf(stderr, "usage: %s DIR [MUTATIONS [SEED]]; DIR not empty, SEED not 0\n",
			argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n# seed %llu, ", count, (unsigned long long)seed);
	printf("%lu mutations each\n", mutations);
	for (int i = 0; i < count; i++) {
		size_t len = read_seed(argv[1], names[i]->d_name, bytes);

		replay(bytes, len, mutations, seed + (uint64_t)i * 0x9e3779b97f4a7c15);
		printf("ok %d - %s\n", i + 1, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return 0;
}
