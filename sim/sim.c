/* SPDX-License-Identifier: MIT */
/* naru-sim - runs seeded worlds: naru-sim [--first SEED] [--seeds N] [--trace] [--keep-going]
 * Each seed is one world (world.h).  A seed that breaks a promise is named with how to replay it.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "base/clock.h"
#include "world.h"

static uint64_t current_seed;

/* An invariant of the core asserted: say which world it was before the process ends. */
static void
on_abort(int signal_number)
{
    char text[128];
    const int len = snprintf(
        text, sizeof(text), "seed %llu: aborted; replay: naru-sim --first %llu --seeds 1 --trace\n",
        (unsigned long long)current_seed, (unsigned long long)current_seed);

    (void)signal_number;
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        _exit(3);
    signal(SIGABRT, SIG_DFL);
}

static bool
parse_number(const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static int
usage(void)
{
    fprintf(stderr, "usage: naru-sim [--first SEED] [--seeds N] [--trace] [--keep-going]\n");
    return 2;
}

int
main(int argc, char **argv)
{
    uint64_t first = 1, seeds = 100, failed = 0, steps = 0, done = 0;
    bool traces = false, keeps_going = false;
    int64_t started_ms, took_ms;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            traces = true;
        else if (strcmp(argv[i], "--keep-going") == 0)
            keeps_going = true;
        else if (i + 1 < argc && strcmp(argv[i], "--first") == 0 &&
                 parse_number(argv[i + 1], &first))
            i++;
        else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0 &&
                 parse_number(argv[i + 1], &seeds))
            i++;
        else
            return usage();
    }
    signal(SIGABRT, on_abort);
    started_ms = clock_monotonic_ms();
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct world *w = world_new(seed, traces);
        current_seed = seed;
        done++;
        if (!world_run(w)) {
            failed++;
            printf("seed %llu: %s\n  replay: naru-sim --first %llu --seeds 1 --trace\n",
                   (unsigned long long)seed, w->failure, (unsigned long long)seed);
            fflush(stdout);
        }
        steps += w->steps;
        world_free(w);
        if (failed >= 20 && !keeps_going) {
            printf("giving up after 20 failed seeds (--keep-going)\n");
            break;
        }
    }
    took_ms = clock_monotonic_ms() - started_ms;
    printf("%llu seeds, %llu failed, %llu steps/s\n", (unsigned long long)done,
           (unsigned long long)failed,
           (unsigned long long)(steps * 1000 / (uint64_t)(took_ms > 0 ? took_ms : 1)));
    return failed == 0 ? 0 : 1;
}
