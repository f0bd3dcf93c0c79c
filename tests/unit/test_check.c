/* SPDX-License-Identifier: MIT */
/* The test runner itself: this program runs itself again. */
#include <stdlib.h>
#include "check.h"

#define RUN_SAMPLES "CHECK_SAMPLES=1 \"/proc/$PPID/exe\" "
#define WITHOUT_TIMES " | sed 's/ ([0-9]* ms)$//'"

static bool
is_sample(void)
{
    return getenv("CHECK_SAMPLES") != NULL;
}

TEST(sample_one)
{
    if (is_sample())
        check_skip("no moon %d here", 2);
}

TEST(sample_two)
{
}

TEST(sample_three)
{
    if (is_sample())
        check_skip("what follows counts");
    CHECK(!is_sample());
}

TEST(what_is_skipped_is_counted_and_says_why)
{
    cleanup_free char *all = check_shell(RUN_SAMPLES "sample_" WITHOUT_TIMES " | grep -v 'check failed'"),
                      *one = check_shell(RUN_SAMPLES "sample_one | tail -n 1"),
                      *two = check_shell(RUN_SAMPLES "sample_two | tail -n 1"),
                      *status = check_shell(RUN_SAMPLES "sample_one >/dev/null; echo $?");

    CHECK_TEXT(all, "skipped: no moon 2 here\nskip sample_one\nok sample_two\nskipped: what follows counts\n"
                    "FAIL sample_three: exit status 1\n1 passed, 1 failed, 1 skipped\n");
    CHECK_TEXT(one, "0 passed, 0 failed, 1 skipped\n");
    CHECK_TEXT(two, "1 passed, 0 failed\n");
    CHECK_TEXT(status, "0\n");
}
