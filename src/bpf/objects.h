/* objects.h: the compiled BPF objects, embedded by embed.py */
#ifndef FK_BPF_OBJECTS_H
#define FK_BPF_OBJECTS_H

#include <stddef.h>

extern const unsigned char mute_object[];
extern const size_t mute_object_size;

#endif
