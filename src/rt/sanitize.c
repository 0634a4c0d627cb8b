/* sanitize.c - see sanitize.h. */
#include "rt/sanitize.h"

#if RT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if RT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if __has_include(<valgrind/valgrind.h>) && !RT_ASAN && !RT_TSAN
#include <valgrind/valgrind.h>
#define RT_VALGRIND 1
#else
#define RT_VALGRIND 0
#endif

#include <pthread.h>

#if RT_ASAN || RT_TSAN

void sanitize_leave(struct context *from UNUSED, const struct context *to, bool ends UNUSED)
{
#if RT_ASAN
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake, to->low, to->size);
#endif
#if RT_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
}

void sanitize_arrive(struct context *self UNUSED)
{
#if RT_ASAN
    __sanitizer_finish_switch_fiber(self->fake, NULL, NULL);
    self->fake = NULL;
#endif
}

void sanitize_thread_context(struct context *c UNUSED)
{
#if RT_ASAN
    /* Asked once a thread: the C library reads all of /proc/self/maps for the first one, which takes longer than most tests. */
    static _Thread_local void *low;
    static _Thread_local size_t size;
    pthread_attr_t attr;

    if (!low && pthread_getattr_np(pthread_self(), &attr) == 0) {
        (void)pthread_attr_getstack(&attr, &low, &size);
        (void)pthread_attr_destroy(&attr);
    }
    c->low = low;
    c->size = size;
#endif
#if RT_TSAN
    c->tsan = __tsan_get_current_fiber();
#endif
}

void sanitize_stack_begin(struct context *c, void *low UNUSED, size_t size UNUSED, const char *name UNUSED)
{
#if RT_ASAN
    __asan_unpoison_memory_region(low, size);
    c->fake = NULL;
    c->low = low;
    c->size = size;
#endif
#if RT_TSAN
    if (c->tsan)
        __tsan_destroy_fiber(c->tsan);
    c->tsan = __tsan_create_fiber(0);
    __tsan_set_fiber_name(c->tsan, name);
#endif
}

void sanitize_stack_end(struct context *c UNUSED)
{
#if RT_TSAN
    if (c->tsan)
        __tsan_destroy_fiber(c->tsan);
    c->tsan = NULL;
#endif
}

#endif

unsigned sanitize_stack_mapped(void *low UNUSED, size_t size UNUSED)
{
#if RT_ASAN
    __lsan_register_root_region(low, size);
#endif
#if RT_VALGRIND
    return VALGRIND_STACK_REGISTER(low, (char *)low + size);
#else
    return 0;
#endif
}

void sanitize_stack_unmapped(void *low UNUSED, size_t size UNUSED, unsigned id UNUSED)
{
#if RT_ASAN
    __asan_unpoison_memory_region(low, size);
    __lsan_unregister_root_region(low, size);
#endif
#if RT_VALGRIND
    VALGRIND_STACK_DEREGISTER(id);
#endif
}

bool sanitize_is_watched(void)
{
#if RT_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}
