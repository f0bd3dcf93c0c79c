/* SPDX-License-Identifier: MIT */
/* pattern_program.h - what pattern.c makes of an expression, for the pattern*.c of this room only. */
#pragma once
#include "model/pattern.h"

/* A program of the classic kind: the set of places that a text can have led to moves along it. */
enum op { OP_SET, OP_JUMP, OP_SPLIT, OP_BEGIN, OP_END, OP_DONE };

struct instruction {
    enum op op;
    int to, or_to;   /* JUMP: to; SPLIT: both */
    bool is_group;   /* JUMP: back to the beginning of a group, of one character maybe */
    uint8_t set[32]; /* SET: the bytes that it takes */
};

struct pattern {
    struct instruction *at;
    int count, capacity;
};

static inline bool
set_has(const uint8_t set[static 32], int c)
{
    return (set[c / 8] & (1 << (c % 8))) != 0;
}

static inline void
set_remove_line_ends(uint8_t set[static 32])
{
    set['\n' / 8] &= (uint8_t)~(1 << ('\n' % 8));
    set['\r' / 8] &= (uint8_t)~(1 << ('\r' % 8));
}

/* How many characters of `text` are literals, if ".*" is behind them and nothing is beside all that; else -1. */
int pattern_lead(struct str text);

/* NULL and err as pattern_parse(). */
struct pattern *pattern_parse_as(struct str text, const struct pattern_dialect *dialect, struct err *err) MUST_CHECK;
