/* SPDX-License-Identifier: MIT */
#include "io/gzip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static void
gz_end(gzFile *gz)
{
    if (*gz != NULL)
        (void)gzclose(*gz);
}

static bool
copy(int from, gzFile to, const char *path, struct err *err)
{
    char buffer[65536];

    for (;;) {
        const ssize_t got = read(from, buffer, sizeof(buffer));
        if (got == 0)
            return true;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "cannot read what becomes '%s'", path);
        if (gzwrite(to, buffer, (unsigned)got) != (int)got)
            return err_set(err, ERR_INTERNAL, "cannot write '%s': the disk may be full", path);
    }
}

static bool
compress_to(const char *from, const char *to, int64_t *size_out, struct err *err)
{
    cleanup_close int in = open(from, O_RDONLY | O_CLOEXEC);
    cleanup_close int out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    cleanup(gz_end) gzFile gz = NULL;
    struct stat st;

    if (in < 0 || out < 0)
        return err_errno(err, "cannot open '%s'", in < 0 ? from : to);
    const int copy_fd = fcntl(out, F_DUPFD_CLOEXEC, 0); /* gzclose() closes its own */
    if (copy_fd < 0)
        return err_errno(err, "cannot open '%s' twice", to);
    gz = gzdopen(copy_fd, "wb6");
    if (gz == NULL) {
        (void)close(copy_fd);
        return err_set(err, ERR_INTERNAL, "cannot compress into '%s'", to);
    }
    if (!copy(in, gz, to, err))
        return false;
    const int ended = gzclose(gz);
    gz = NULL;
    if (ended != Z_OK)
        return err_set(err, ERR_INTERNAL, "cannot write '%s': the disk may be full", to);
    if (fsync(out) < 0 || fstat(out, &st) < 0)
        return err_errno(err, "cannot flush '%s'", to);
    *size_out = st.st_size;
    return true;
}

bool
gzip_file(const char *from, const char *to, int64_t *size_out, struct err *err)
{
    cleanup_free char *beside = text_format("%s.part", to);
    int64_t size = 0;

    if (!compress_to(from, beside, &size, err)) {
        (void)unlink(beside);
        return false;
    }
    if (rename(beside, to) < 0)
        return err_errno(err, "cannot name '%s'", to);
    *size_out = size;
    return true;
}
