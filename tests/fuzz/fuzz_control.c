/* fuzz_control.c: one request of the control socket, JSON or not: always answered, exactly once */
#include "fuzz.h"

#include "control/fake_node.h"
#include "control/talk.h"

struct answer {
	unsigned ends;
	size_t bytes;
};

int fuzz_control(const uint8_t *data, size_t size);

static void on_chunk(void *arg, char type, const char *data, size_t len)
{
	struct answer *answer = arg;

	FUZZ_CHECK(answer->ends == 0);
	FUZZ_CHECK(type == 't' || type == 'e' || type == 'q' || type == 'x');
	if (type == 'x') {
		FUZZ_CHECK(len == 1 && data[0] >= 0 && data[0] <= 2);
		answer->ends++;
	}
	answer->bytes += len;
}

int fuzz_control(const uint8_t *data, size_t size)
{
	struct answer answer = {.ends = 0};
	struct fake_node fake;
	struct talk *talk = malloc(sizeof(*talk));

	FUZZ_CHECK(talk);
	fake_init(&fake);
	talk_init(talk, &fake_ops, &fake, on_chunk, &answer);
	talk_request(talk, (const char *)data, size);
	fake_walk(&fake, 100);
	FUZZ_CHECK(!talk_is_busy(talk));
	FUZZ_CHECK(answer.ends == 1);
	talk_fini(talk);
	free(talk);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_control(data, size);
}
