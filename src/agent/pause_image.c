/* SPDX-License-Identifier: MIT */
#include "agent/pause_image.h"
#include <stdio.h>

/* pause(2) for ever. A signal without a handler does not even wake process 1. */
static const unsigned char code_amd64[] = {
    0xb8, 0x22, 0x00, 0x00, 0x00, /* mov eax, 34 (pause) */
    0x0f, 0x05,                   /* syscall */
    0xeb, 0xf7,                   /* jmp to the start */
};
/* arm64 has no pause(2): ppoll of nothing, without a timeout. */
static const unsigned char code_arm64[] = {
    0x00, 0x00, 0x80, 0xd2, /* mov x0, 0 */
    0x01, 0x00, 0x80, 0xd2, /* mov x1, 0 */
    0x02, 0x00, 0x80, 0xd2, /* mov x2, 0 */
    0x03, 0x00, 0x80, 0xd2, /* mov x3, 0 */
    0x28, 0x09, 0x80, 0xd2, /* mov x8, 73 (ppoll) */
    0x01, 0x00, 0x00, 0xd4, /* svc 0 */
    0xfa, 0xff, 0xff, 0x17, /* b to the start */
};

#define ELF_HEAD 64
#define PROGRAM_HEAD 56
#define BASE_ADDRESS 0x400000
#define TAR_BLOCK 512

static void
put(unsigned char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

/* An ELF64 file of one segment: headers and code. */
static size_t
make_elf(unsigned char out[static TAR_BLOCK], unsigned machine, const unsigned char *code, size_t size)
{
    const size_t total = ELF_HEAD + PROGRAM_HEAD + size;
    unsigned char *program = out + ELF_HEAD;

    memcpy(out, "\x7f" "ELF\x02\x01\x01", 7);
    put(out + 16, 2, 2); /* an executable */
    put(out + 18, machine, 2);
    put(out + 20, 1, 4);
    put(out + 24, BASE_ADDRESS + ELF_HEAD + PROGRAM_HEAD, 8); /* entry */
    put(out + 32, ELF_HEAD, 8);                               /* program headers */
    put(out + 52, ELF_HEAD, 2);
    put(out + 54, PROGRAM_HEAD, 2);
    put(out + 56, 1, 2);
    put(program, 1, 4);     /* to be loaded */
    put(program + 4, 5, 4); /* read and execute */
    put(program + 16, BASE_ADDRESS, 8);
    put(program + 24, BASE_ADDRESS, 8);
    put(program + 32, total, 8);
    put(program + 40, total, 8);
    put(program + 48, 0x10000, 8); /* pages of arm64 may have 64 KiB */
    memcpy(program + PROGRAM_HEAD, code, size);
    return total;
}

bool
pause_image_tar(const char *arch, struct strbuf *out, struct err *err)
{
    unsigned char tar[4 * TAR_BLOCK] = {0};
    size_t size;
    unsigned sum = 0;

    if (strcmp(arch, "amd64") == 0)
        size = make_elf(tar + TAR_BLOCK, 62, code_amd64, sizeof(code_amd64));
    else if (strcmp(arch, "arm64") == 0)
        size = make_elf(tar + TAR_BLOCK, 183, code_arm64, sizeof(code_arm64));
    else
        return err_set(err, ERR_UNSUPPORTED_FEATURE,
                       "tasks of several containers that share a namespace need amd64 or arm64, not '%s'", arch);
    char *head = (char *)tar;
    (void)snprintf(head, 100, "pause");
    (void)snprintf(head + 100, 8, "%07o", 0755);
    (void)snprintf(head + 108, 8, "%07o", 0);
    (void)snprintf(head + 116, 8, "%07o", 0);
    (void)snprintf(head + 124, 12, "%011o", (unsigned)size);
    (void)snprintf(head + 136, 12, "%011o", 0);
    memset(head + 148, ' ', 8); /* the checksum counts itself as blanks */
    head[156] = '0';
    memcpy(head + 257, "ustar\00000", 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += tar[i];
    (void)snprintf(head + 148, 8, "%06o", sum);
    strbuf_add(out, (struct str){(const char *)tar, sizeof(tar)});
    return true;
}
