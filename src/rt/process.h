/* process.h - what the process can say about itself. Cheap; never blocks for long. From any thread. */
#ifndef RT_PROCESS_H
#define RT_PROCESS_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* Resident memory; 0 if the system does not tell. */
uint64_t process_resident_bytes(void);
/* Processor time of all threads so far. */
ns_t process_cpu(void);
/* Is stdout (1) or stderr (2) a terminal? */
bool process_is_terminal(int fd);
/* Raise the limit of open files to what the system allows; returns it. */
uint64_t process_raise_file_limit(void);
/* Keep some freed memory (8 MiB a thread at most) for the next request, where the allocator would give it back and take it again each time.
 * Once, before there are threads. */
void process_keep_memory(void);

#endif
