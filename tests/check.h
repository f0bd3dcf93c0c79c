/* SPDX-License-Identifier: MIT */
/* check.h - the small test runner.
 * A test file is a program: TEST(name) { CHECK(...); } for each case and no main(); link
 * tests/check.c.  `prog` runs all, `prog pattern` those whose name contains it.  Each test runs in
 * a fork (an abort or a sanitizer report fails that one only).  Prints `ok name`, `FAIL name` or `skip name` and
 * ends with `N passed, N failed`, and `, N skipped` if any were; exit status 1 if any failed.  CHECK ends the test at
 * once. */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include "base/str.h"

/* Limits of waiting and upper bounds of time are written down for a machine at rest and multiplied by
 * this: a machine ten times slower passes. What must not take long has to take longer still when it is
 * broken, or the bound says nothing. */
#define CHECK_PATIENCE 10

typedef void test_function(void);
void check_register(const char *name, test_function *test);
void check_fail(const char *file, int line, const char *format, ...) PRINTF_LIKE(3, 4)
    __attribute__((noreturn));
void check_equal_int(const char *file, int line, const char *what, long long got, long long want);
void check_equal_text(const char *file, int line, const char *what, const char *got, const char *want);
/* This machine cannot show what the test is about, or part of it, and why; the test goes on. */
void check_skip(const char *format, ...) PRINTF_LIKE(1, 2);

/* What a command says to its standard output, by the shell; it has to succeed. The caller frees it. */
char *check_shell(const char *command);

#define TEST(name)                                                                                 \
    static void test_##name(void);                                                                 \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        check_register(#name, test_##name);                                                        \
    }                                                                                              \
    static void test_##name(void)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            check_fail(__FILE__, __LINE__, "%s", #condition);                                      \
    } while (0)
#define CHECK_EQ(got, want)                                                                        \
    check_equal_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define CHECK_TEXT(got, want) check_equal_text(__FILE__, __LINE__, #got, (got), (want))
