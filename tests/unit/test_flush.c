/* SPDX-License-Identifier: MIT */
/* test_flush.c - several files flushed at once: by this kernel, and by kernels that refuse it, take less than they
 * were given, are interrupted, or have a disk that fails. */
#include <errno.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "io/flush.h"

#define FILES 4

/* What the kernel of a test does; a real one where is_faked is not set. */
static struct {
    bool is_faked;
    int setup_error, result; /* of contexts; of the second file that it is given */
    long takes;              /* so many files at once */
    bool interrupts;         /* once */
    int setups, submits, destroys, own_flushes, own_names;
    int own_error; /* of flushes by the caller */
    size_t count;  /* on their way */
    uint64_t ids[FLUSH_FILES_MAX];
    int codes[FLUSH_FILES_MAX];
} kernel;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static long
fail(int error)
{
    errno = error;
    return -1;
}

static long
fake_submit(long count, struct iocb **list)
{
    kernel.submits++;
    if (kernel.takes == 0)
        return fail(EINVAL);
    kernel.count = (size_t)(count < kernel.takes ? count : kernel.takes);
    for (size_t i = 0; i < kernel.count; i++) {
        kernel.ids[i] = list[i]->aio_data;
        kernel.codes[i] = list[i]->aio_lio_opcode;
    }
    return (long)kernel.count;
}

/* One at a time, the last one first. */
static long
fake_getevents(struct io_event *events)
{
    if (kernel.interrupts) {
        kernel.interrupts = false;
        return fail(EINTR);
    }
    CHECK(kernel.count > 0);
    kernel.count--;
    events[0] = (struct io_event){.data = kernel.ids[kernel.count],
                                  .res = kernel.ids[kernel.count] == 1 ? -kernel.result : 0};
    return 1;
}

long
__wrap_syscall(long number, ...)
{
    va_list arguments;
    long a[6];

    va_start(arguments, number);
    for (size_t i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    if (!kernel.is_faked)
        return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    switch (number) {
    case SYS_io_setup:
        kernel.setups++;
        *(aio_context_t *)a[1] = 7;
        return kernel.setup_error == 0 ? 0 : fail(kernel.setup_error);
    case SYS_io_submit:
        CHECK_EQ(a[0], 7);
        return fake_submit(a[1], (struct iocb **)a[2]);
    case SYS_io_getevents:
        return fake_getevents((struct io_event *)a[3]);
    case SYS_io_destroy:
        kernel.destroys++;
        return 0;
    default:
        return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
}

static int
own_flush(void)
{
    kernel.own_flushes++;
    return kernel.own_error == 0 ? 0 : (int)fail(kernel.own_error);
}

int
__wrap_fsync(int fd)
{
    if (!kernel.is_faked)
        return __real_fsync(fd);
    kernel.own_names++;
    return own_flush();
}

int
__wrap_fdatasync(int fd)
{
    return kernel.is_faked ? own_flush() : __real_fdatasync(fd);
}

static const int fds[FILES] = {10, 11, 12, 13}; /* nobody looks */

TEST(all_but_one_are_the_kernels_and_the_last_is_ones_own)
{
    struct flusher *f = flusher_new();
    size_t failed;

    kernel.is_faked = true;
    kernel.takes = 100;
    kernel.interrupts = true;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(flusher_flush(f, fds, FILES, FLUSH_BYTES, &failed), 0);
    CHECK_EQ(kernel.setups, 1);
    CHECK_EQ(kernel.submits, 3);
    CHECK_EQ(kernel.codes[0], IOCB_CMD_FDSYNC);
    CHECK_EQ(kernel.own_flushes, 3);
    CHECK_EQ(kernel.own_names, 0);
    CHECK_EQ(flusher_flush(f, fds, FILES, FLUSH_NAMES, &failed), 0);
    CHECK_EQ(kernel.codes[2], IOCB_CMD_FSYNC);
    CHECK_EQ(kernel.own_names, 1);
    flusher_free(f);
    CHECK_EQ(kernel.destroys, 1);
}

TEST(one_file_or_none_is_not_worth_a_call)
{
    struct flusher *f = flusher_new();
    size_t failed;

    kernel.is_faked = true;
    CHECK_EQ(flusher_flush(f, fds, 1, FLUSH_BYTES, &failed), 0);
    CHECK_EQ(kernel.own_flushes, 1);
    CHECK_EQ(flusher_flush(f, fds, 0, FLUSH_BYTES, &failed), 0);
    CHECK_EQ(kernel.own_flushes, 1);
    CHECK_EQ(kernel.setups, 0);
    flusher_free(f);
}

TEST(what_the_kernel_could_not_flush_is_an_error_of_that_file)
{
    struct flusher *f = flusher_new();
    size_t failed = 99;

    kernel.is_faked = true;
    kernel.takes = 100;
    kernel.result = EIO;
    CHECK_EQ(flusher_flush(f, fds, FILES, FLUSH_BYTES, &failed), EIO);
    CHECK_EQ(failed, 1);
    CHECK_EQ(kernel.count, 0);
    kernel.result = 0;
    kernel.own_error = ENOSPC;
    CHECK_EQ(flusher_flush(f, fds, FILES, FLUSH_BYTES, &failed), ENOSPC);
    CHECK_EQ(failed, FILES - 1);
    CHECK_EQ(kernel.count, 0); /* the others were waited for */
    flusher_free(f);
}

TEST(what_the_kernel_does_not_take_is_flushed_one_after_the_other)
{
    struct flusher *f = flusher_new();
    size_t failed = 99;

    kernel.is_faked = true;
    kernel.takes = 1;
    CHECK_EQ(flusher_flush(f, fds, FILES, FLUSH_NAMES, &failed), 0);
    CHECK_EQ(kernel.own_flushes, FILES - 1);
    kernel.takes = 0;
    CHECK_EQ(flusher_flush(f, fds, FILES, FLUSH_NAMES, &failed), 0);
    CHECK_EQ(kernel.own_flushes, FILES - 1 + FILES);
    kernel.own_error = EIO;
    CHECK_EQ(flusher_flush(f, fds, FILES, FLUSH_NAMES, &failed), EIO);
    CHECK_EQ(failed, 0);
    flusher_free(f);
}

TEST(a_kernel_without_it_is_asked_once_and_one_that_is_busy_again)
{
    static const struct {
        int error, setups;
    } cases[] = {{ENOSYS, 1}, {EPERM, 1}, {EAGAIN, 2}};

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct flusher *f = flusher_new();
        size_t failed;
        kernel.is_faked = true;
        kernel.setups = kernel.own_flushes = 0;
        kernel.setup_error = cases[i].error;
        CHECK_EQ(flusher_flush(f, fds, FILES, FLUSH_BYTES, &failed), 0);
        CHECK_EQ(flusher_flush(f, fds, FILES, FLUSH_BYTES, &failed), 0);
        CHECK_EQ(kernel.own_flushes, 2 * FILES);
        CHECK_EQ(kernel.setups, cases[i].setups);
        flusher_free(f);
    }
}

static void *
flush_often(void *arg)
{
    char path[] = "/tmp/naru-flush-XXXXXX";
    int own[3];
    size_t failed;

    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        memcpy(path + sizeof path - 7, "XXXXXX", 6);
        own[i] = mkstemp(path);
        CHECK(own[i] >= 0 && unlink(path) == 0);
    }
    for (int i = 0; i < 20; i++)
        CHECK_EQ(flusher_flush(arg, own, ARRAY_COUNT(own), i % 2 ? FLUSH_BYTES : FLUSH_NAMES, &failed), 0);
    for (size_t i = 0; i < ARRAY_COUNT(own); i++)
        close(own[i]);
    return NULL;
}

TEST(many_threads_flush_with_this_kernel)
{
    struct flusher *f = flusher_new();
    pthread_t threads[8];

    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        CHECK(pthread_create(&threads[i], NULL, flush_often, f) == 0);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    flusher_free(f);
}
