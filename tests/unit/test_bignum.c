/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <math.h>
#include "base/bignum.h"

static struct arena arena;

static struct bignum
number(const char *text)
{
    struct bignum n;

    CHECK(bignum_parse(&arena, str_of(text), 10, &n));
    return n;
}

static const char *
shown(struct bignum n, unsigned base)
{
    cleanup(strbuf_done) struct strbuf b = {0};

    bignum_format(n, base, &b);
    return arena_cstr(&arena, strbuf_str(&b));
}

static const char *
of(const char *a, enum bignum_op op, const char *b)
{
    struct bignum n;

    CHECK(bignum_apply(&arena, op, number(a), number(b), &n));
    return shown(n, 10);
}

#define GOOGOL "10000000000000000000000000000000000000000000000000000000000000000000000000000000" \
               "000000000000000000000"

TEST(numbers_of_any_size_are_read_and_shown)
{
    static const char *const texts[] = {"0", "1", "-1", "255", "9223372036854775807",
                                        "-9223372036854775808", "9999999999999999999",
                                        "10000000000000000000", "1180591620717411303424", GOOGOL,
                                        "-" GOOGOL "7" GOOGOL};
    struct bignum n;

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        n = number(texts[i]);
        CHECK_TEXT(shown(n, 10), texts[i]);
        CHECK_EQ(bignum_digits(n), strlen(texts[i]) - (texts[i][0] == '-'));
        CHECK(bignum_parse(&arena, str_of(shown(n, 36)), 36, &n));
        CHECK_TEXT(shown(n, 10), texts[i]);
        CHECK(bignum_parse(&arena, str_of(shown(n, 2)), 2, &n));
        CHECK_TEXT(shown(n, 10), texts[i]);
    }
    CHECK_TEXT(shown(number("+00012"), 10), "12");
    CHECK_TEXT(shown(number("-000"), 10), "0");
    CHECK_TEXT(shown(number("1180591620717411303424"), 16), "400000000000000000");
    for (const char *const *bad = (const char *const[]){"", "-", "1x", "1 ", "--1", "1.0", NULL};
         *bad != NULL; bad++)
        CHECK(!bignum_parse(&arena, str_of(*bad), 10, &n));
    CHECK(!bignum_parse(&arena, STR("2"), 2, &n));
    CHECK(!bignum_parse(&arena, STR("/"), 36, &n));
    arena_done(&arena);
}

TEST(numbers_are_shown_and_read_in_any_base)
{
    struct bignum n, back;

    CHECK(bignum_power(&arena, number("-3"), 5001, &n));
    for (unsigned base = 2; base <= 36; base++) {
        CHECK(bignum_parse(&arena, str_of(shown(n, base)), base, &back));
        CHECK_EQ(bignum_compare(n, back), 0);
    }
    CHECK(bignum_power(&arena, number("8"), 700, &n));
    CHECK_TEXT(shown(n, 8) + 1, shown(bignum_negated(n), 8) + 2);
    CHECK_EQ(strlen(shown(n, 8)), 701);
    CHECK_EQ(strspn(shown(n, 8) + 1, "0"), 700);
    CHECK_EQ(strlen(shown(n, 2)), 2101);
    arena_done(&arena);
}

TEST(numbers_of_any_size_are_computed_with)
{
    CHECK_TEXT(of("9223372036854775807", BIGNUM_ADD, "1"), "9223372036854775808");
    CHECK_TEXT(of("5", BIGNUM_SUB, GOOGOL),
               "-9999999999999999999999999999999999999999999999999999999999999999999999999999999"
               "999999999999999999995");
    CHECK_TEXT(of("-4294967296", BIGNUM_MUL, "4294967296"), "-18446744073709551616");
    CHECK_TEXT(of("-7", BIGNUM_DIV, "2"), "-3");
    CHECK_TEXT(of("-7", BIGNUM_REST, "2"), "-1");
    CHECK_TEXT(of("7", BIGNUM_REST, "-2"), "1");
    CHECK_TEXT(of(GOOGOL, BIGNUM_DIV, GOOGOL), "1");
    CHECK_TEXT(of("-12", BIGNUM_GCD, "18"), "6");
    CHECK_TEXT(of("0", BIGNUM_GCD, "-5"), "5");
    CHECK_TEXT(of("18446744073709551615", BIGNUM_AND, "-256"), "18446744073709551360");
    CHECK_TEXT(of("-18446744073709551616", BIGNUM_OR, "1"), "-18446744073709551615");
    CHECK_TEXT(of("-1", BIGNUM_XOR, "18446744073709551615"), "-18446744073709551616");
    CHECK_TEXT(of("-256", BIGNUM_AND, "-256"), "-256");
    CHECK_EQ(bignum_compare(number("-" GOOGOL), number("1")), -1);
    CHECK_EQ(bignum_compare(number("256"), number("255")), 1);
    CHECK_EQ(bignum_compare(number("-256"), number("-255")), -1);
    CHECK_EQ(bignum_compare(number("0"), number("-0")), 0);
    arena_done(&arena);
}

TEST(bits_of_two_s_complement_agree_with_the_machine_s)
{
    static const int64_t some[] = {0, 1, -1, 127, 128, -128, -129, 255, 256, -256, 65535, -65536,
                                   INT64_MAX, INT64_MIN, INT64_MIN + 1};
    struct bignum_space space[2];
    struct bignum n;
    int64_t back;

    for (size_t i = 0; i < ARRAY_COUNT(some); i++) {
        const struct bignum a = bignum_of(some[i], &space[0]);
        CHECK(bignum_to_i64(a, &back));
        CHECK_EQ(back, some[i]);
        for (size_t j = 0; j < ARRAY_COUNT(some); j++) {
            const struct bignum b = bignum_of(some[j], &space[1]);
            CHECK(bignum_apply(&arena, BIGNUM_AND, a, b, &n));
            CHECK_EQ((int64_t)bignum_low(n), some[i] & some[j]);
            CHECK(bignum_apply(&arena, BIGNUM_OR, a, b, &n));
            CHECK_EQ((int64_t)bignum_low(n), some[i] | some[j]);
            CHECK(bignum_apply(&arena, BIGNUM_XOR, a, b, &n));
            CHECK_EQ((int64_t)bignum_low(n), some[i] ^ some[j]);
            CHECK_EQ(bignum_compare(a, b), (some[i] > some[j]) - (some[i] < some[j]));
        }
        for (int places = 0; places < 70; places++) {
            CHECK(bignum_shift(&arena, a, -places, &n));
            CHECK_EQ((int64_t)bignum_low(n), some[i] >> (places > 63 ? 63 : places));
            CHECK(bignum_shift(&arena, a, places, &n));
            CHECK(bignum_shift(&arena, n, -places, &n));
            CHECK_EQ(bignum_compare(n, a), 0);
        }
    }
    CHECK(!bignum_to_i64(number("9223372036854775808"), &back));
    CHECK(!bignum_to_i64(number("-9223372036854775809"), &back));
    CHECK(!bignum_to_i64(number("18446744073709551616"), &back));
    arena_done(&arena);
}

TEST(reals_are_rounded_once)
{
    struct bignum n;

    CHECK(bignum_to_real(number("9007199254740993")) == 9007199254740992.0);
    CHECK(bignum_to_real(number("-9007199254740995")) == -9007199254740996.0);
    CHECK(bignum_to_real(number("1180591620717411434497")) == 1180591620717411565568.0);
    CHECK(bignum_to_real(number("1180591620717411434496")) == 1180591620717411303424.0);
    CHECK(bignum_to_real(number(GOOGOL)) == 1e100);
    CHECK(bignum_of_real(&arena, -1e22, &n));
    CHECK_TEXT(shown(n, 10), "-10000000000000000000000");
    CHECK(bignum_of_real(&arena, -2.9, &n));
    CHECK_TEXT(shown(n, 10), "-2");
    CHECK(bignum_of_real(&arena, 0.5, &n));
    CHECK_EQ(bignum_sign(n), 0);
    CHECK(!bignum_of_real(&arena, (double)INFINITY, &n));
    CHECK(bignum_power(&arena, number("2"), 2000, &n));
    CHECK(isinf(bignum_to_real(n)));
    arena_done(&arena);
}

TEST(powers_end_and_what_is_too_large_is_refused)
{
    struct bignum n, largest;

    CHECK(bignum_power(&arena, number("2"), 70, &n));
    CHECK_TEXT(shown(n, 10), "1180591620717411303424");
    CHECK(bignum_power(&arena, number("-1"), UINT64_MAX, &n));
    CHECK_TEXT(shown(n, 10), "-1");
    CHECK(bignum_power(&arena, number("-1"), UINT64_MAX - 1, &n));
    CHECK_TEXT(shown(n, 10), "1");
    CHECK(bignum_power(&arena, number("0"), 0, &n));
    CHECK_TEXT(shown(n, 10), "1");
    CHECK(!bignum_power(&arena, number("2"), UINT64_MAX, &n));
    CHECK(!bignum_power(&arena, number("2"), BIGNUM_BITS_MAX, &n));
    CHECK(bignum_power(&arena, number("2"), BIGNUM_BITS_MAX - 1, &largest));
    CHECK_EQ(bignum_bits(largest), BIGNUM_BITS_MAX);
    CHECK_EQ(bignum_digits(largest), strlen(shown(largest, 10)));
    CHECK(bignum_digits(largest) <= BIGNUM_DIGITS_MAX);
    CHECK(!bignum_apply(&arena, BIGNUM_ADD, largest, largest, &n));
    CHECK(!bignum_apply(&arena, BIGNUM_MUL, largest, number("2"), &n));
    CHECK(!bignum_shift(&arena, largest, 1, &n));
    CHECK(!bignum_times_ten(&arena, largest, 1, &n));
    CHECK(!bignum_times_ten(&arena, number("1"), UINT64_MAX, &n));
    CHECK(bignum_shift(&arena, largest, -(int64_t)BIGNUM_BITS_MAX + 1, &n));
    CHECK_TEXT(shown(n, 10), "1");
    CHECK(bignum_parse(&arena, str_of(shown(largest, 10)), 10, &n));
    CHECK_EQ(bignum_compare(n, largest), 0);
    CHECK(!bignum_apply(&arena, BIGNUM_GCD, largest, number("2"), &n));
    arena_done(&arena);
}
