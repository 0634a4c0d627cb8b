/* balance_test.c - each ticket has the same chance: by lot exactly as many draws, in turn once in a round. */
#include "policy/balance.h"

#include "base/prng.h"
#include "unit/test.h"

#include <limits.h>

/* The first draw whose upper half of draw * sum is `ticket`. */
static uint64_t first_draw(uint64_t ticket, uint64_t sum)
{
    unsigned __int128 from = (unsigned __int128)ticket << 64;
    return (uint64_t)((from + sum - 1) / sum);
}

/* A ticket is one of `sum` equal shares of the 2^64 draws: each has floor(2^64 / sum) of them, and its borders are
 * where they should be. */
TEST(balance_gives_each_ticket_equally_many_draws)
{
    for (uint64_t sum = 1; sum <= 200; sum++) {
        uint64_t refused = -sum % sum;
        for (uint64_t ticket = 0; ticket < sum; ticket++) {
            uint64_t from = first_draw(ticket, sum);
            /* The first draw may be refused; the one after it and the last one of the ticket never are. */
            uint64_t last = ticket + 1 < sum ? first_draw(ticket + 1, sum) - 1 : UINT64_MAX;
            bool taken = (uint64_t)((unsigned __int128)from * sum) >= refused;
            if (sum > 1)
                CHECK_EQ(last - from + (taken ? 1 : 0), UINT64_MAX / sum + (refused == 0));
            if (taken)
                CHECK_EQ(balance_ticket(from, sum), ticket);
            CHECK_EQ(balance_ticket(from + 1, sum), ticket);
            CHECK_EQ(balance_ticket(last, sum), ticket);
        }
    }
}

/* Chi-square of `rounds` tickets against shares of the sum; 5 degrees of freedom: 30 is passed by chance once in 70,000
 * runs. */
static void check_chi_square(const uint64_t *shares, size_t n, uint64_t seed)
{
    enum { ROUNDS = 200000 };
    unsigned count[6] = {0};
    uint64_t sum = 0;
    double chi = 0;
    struct prng p;

    prng_seed(&p, seed);
    for (size_t i = 0; i < n; i++)
        sum += shares[i];
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t ticket = balance_ticket(prng_next(&p), sum);
        size_t holder = 0;
        for (; ticket >= shares[holder]; holder++)
            ticket -= shares[holder];
        count[holder]++;
    }
    for (size_t i = 0; i < n; i++) {
        double want = ROUNDS * ((double)shares[i] / (double)sum), off = count[i] - want;
        chi += off * off / want;
    }
    CHECK_MSG(chi < 30, "chi-square %f for seed %llu", chi, (unsigned long long)seed);
}

TEST(balance_follows_shares_over_random_draws)
{
    static const uint64_t even[] = {1, 1, 1, 1, 1, 1}, uneven[] = {1, 2, 3, 10, 50, 7};
    static const uint64_t huge[] = {UINT_MAX, UINT_MAX / 2, UINT_MAX / 3, UINT_MAX - 1, 1u << 31, 1ULL << 40};

    for (uint64_t seed = 1; seed <= 3; seed++) {
        check_chi_square(even, 6, seed);
        check_chi_square(uneven, 6, seed);
        check_chi_square(huge, 6, seed);
    }
}

TEST(balance_decides_the_same_for_the_same_draw_even_a_refused_one)
{
    CHECK_LT(balance_ticket(0, 3), 3); /* 0 is refused for a sum of 3 */
    CHECK_EQ(balance_ticket(0, 3), balance_ticket(0, 3));
    CHECK_EQ(balance_ticket(UINT64_MAX, 3), 2);
    CHECK_EQ(balance_ticket(1, 3), 0);
}

/* Draws that begin a ticket are refused, so that over many sums they do not all fall to the first. */
TEST(balance_draws_again_for_refused_draws)
{
    unsigned later = 0;

    for (uint64_t w = 1; w < 2000; w++)
        later += balance_ticket(0, 3 * w) >= w; /* 3w divides 2^64 never */
    CHECK_GT(later, 500);
}

TEST(balance_finds_what_two_numbers_have_in_common)
{
    CHECK_EQ(balance_common(12, 18), 6);
    CHECK_EQ(balance_common(0, 7), 7);
    CHECK_EQ(balance_common(7, 0), 7);
    CHECK_EQ(balance_common(UINT64_MAX, 3), 3);
    CHECK_EQ(balance_common(8, 9), 1);
}

TEST(balance_gives_each_ticket_one_turn_in_a_round)
{
    for (uint64_t round = 1; round <= 300; round++) {
        uint64_t stride = balance_stride(round), from = (UINT64_MAX / round - 1) * round;
        bool taken[300] = {false};
        CHECK_GT(stride, 0);
        for (uint64_t turn = 0; turn < round; turn++) {
            uint64_t ticket = balance_turn(from + turn, stride, round);
            CHECK_LT(ticket, round);
            CHECK(!taken[ticket]);
            taken[ticket] = true;
        }
    }
}

/* Of any few turns in a row about as many fall into a part of the tickets as belong there. */
TEST(balance_spreads_the_turns_of_a_part_evenly)
{
    enum { ROUND = 1000, PART = 250, ROW = 40 };
    uint64_t stride = balance_stride(ROUND);

    for (uint64_t turn = 0; turn < ROUND; turn++) {
        unsigned there = 0;
        for (uint64_t k = 0; k < ROW; k++)
            there += balance_turn(turn + k, stride, ROUND) < PART;
        CHECK_GE(there, 8);
        CHECK_LE(there, 12);
    }
}
