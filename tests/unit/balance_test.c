/* balance_test.c - weighted choice is exact, and plans name nobody twice. */
#include "policy/balance.h"

#include "base/prng.h"
#include "unit/test.h"

#include <limits.h>

static struct balance_weights all_of(const unsigned *weights, size_t n)
{
    return (struct balance_weights){weights, sizeof *weights, n};
}

/* The first draw whose upper half of draw * sum is `ticket`. */
static uint64_t first_draw(uint64_t ticket, uint64_t sum)
{
    unsigned __int128 from = (unsigned __int128)ticket << 64;
    return (uint64_t)((from + sum - 1) / sum);
}

/* A ticket is one of `sum` equal shares of the 2^64 draws: each has floor(2^64 / sum) of them, and its borders are
 * where they should be. */
TEST(balance_gives_each_candidate_draws_in_exact_proportion_to_its_weight)
{
    for (unsigned a = 1; a <= 9; a++)
        for (unsigned b = 1; b <= 9; b++)
            for (unsigned c = 1; c <= 9; c++) {
                unsigned weights[] = {a, b, c};
                uint64_t sum = a + b + c, refused = -sum % sum;
                for (uint64_t ticket = 0; ticket < sum; ticket++) {
                    size_t want = ticket < a ? 0 : ticket < a + b ? 1 : 2;
                    uint64_t from = first_draw(ticket, sum);
                    /* The first draw may be refused; the one after it and the last one of the ticket never are. */
                    uint64_t last = ticket + 1 < sum ? first_draw(ticket + 1, sum) - 1 : UINT64_MAX;
                    bool taken = (uint64_t)((unsigned __int128)from * sum) >= refused;
                    CHECK_EQ(last - from + (taken ? 1 : 0), UINT64_MAX / sum + (refused == 0));
                    if (taken)
                        CHECK_EQ(balance_weighted(all_of(weights, 3), NULL, from).chosen, want);
                    CHECK_EQ(balance_weighted(all_of(weights, 3), NULL, from + 1).chosen, want);
                    CHECK_EQ(balance_weighted(all_of(weights, 3), NULL, last).chosen, want);
                }
            }
}

/* Chi-square of `rounds` choices against the weights; 5 degrees of freedom: 30 is passed by chance once in 70,000
 * runs. */
static void check_chi_square(const unsigned *weights, size_t n, uint64_t seed)
{
    enum { ROUNDS = 200000 };
    unsigned count[6] = {0};
    double sum = 0, chi = 0;
    struct prng p;

    prng_seed(&p, seed);
    for (size_t i = 0; i < n; i++)
        sum += weights[i];
    for (unsigned i = 0; i < ROUNDS; i++)
        count[balance_weighted(all_of(weights, n), NULL, prng_next(&p)).chosen]++;
    for (size_t i = 0; i < n; i++) {
        double want = ROUNDS * (weights[i] / sum), off = count[i] - want;
        chi += off * off / want;
    }
    CHECK_MSG(chi < 30, "chi-square %f for seed %llu", chi, (unsigned long long)seed);
}

TEST(balance_follows_the_weights_over_random_draws)
{
    static const unsigned even[] = {1, 1, 1, 1, 1, 1}, uneven[] = {1, 2, 3, 10, 50, 7};
    static const unsigned huge[] = {UINT_MAX, UINT_MAX / 2, UINT_MAX / 3, UINT_MAX - 1, 1u << 31, UINT_MAX / 5};

    for (uint64_t seed = 1; seed <= 3; seed++) {
        check_chi_square(even, 6, seed);
        check_chi_square(uneven, 6, seed);
        check_chi_square(huge, 6, seed);
    }
}

TEST(balance_never_chooses_what_is_excluded_and_says_the_conditional_probability)
{
    static const unsigned weights[] = {5, 1, 3, 1};
    struct prng p;

    prng_seed(&p, 3);
    for (unsigned set = 0; set < 15; set++) {
        bool excluded[4];
        unsigned sum = 0;
        for (unsigned i = 0; i < 4; i++) {
            excluded[i] = set >> i & 1;
            sum += excluded[i] ? 0 : weights[i];
        }
        for (unsigned i = 0; i < 200; i++) {
            struct balance_decision d = balance_weighted(all_of(weights, 4), excluded, prng_next(&p));
            CHECK_LT(d.chosen, 4);
            CHECK(!excluded[d.chosen]);
            CHECK_EQ(d.weight_sum, sum);
            CHECK_EQ(d.candidates, 4 - (unsigned)__builtin_popcount(set));
            CHECK(d.probability == (double)weights[d.chosen] / sum);
        }
    }
}

TEST(balance_says_none_when_everything_is_excluded_or_there_is_nothing)
{
    static const unsigned weights[] = {1, 2};
    static const bool both[] = {true, true};
    struct balance_decision d = balance_weighted(all_of(weights, 2), both, 99);

    CHECK_EQ(d.chosen, BALANCE_NONE);
    CHECK_EQ(d.candidates, 0);
    CHECK(d.probability == 0);
    CHECK_EQ(balance_weighted(all_of(NULL, 0), NULL, 1).chosen, BALANCE_NONE);
}

TEST(balance_decides_the_same_for_the_same_draw_even_a_refused_one)
{
    static const unsigned weights[] = {1, 1, 1};
    struct balance_decision d = balance_weighted(all_of(weights, 3), NULL, 0); /* 0 is refused for a sum of 3 */

    CHECK_EQ(d.draw, 0);
    CHECK_LT(d.chosen, 3);
    CHECK_EQ(balance_weighted(all_of(weights, 3), NULL, 0).chosen, d.chosen);
    CHECK_EQ(balance_weighted(all_of(weights, 3), NULL, UINT64_MAX).chosen, 2);
    CHECK_EQ(balance_weighted(all_of(weights, 3), NULL, 1).chosen, 0);
}

/* Draws that begin a ticket are refused, so that over many sums they do not all fall to the first candidate. */
TEST(balance_draws_again_for_refused_draws)
{
    unsigned later = 0;

    for (unsigned w = 1; w < 2000; w++) {
        unsigned weights[] = {w, w, w}; /* 3w divides 2^64 never */
        later += balance_weighted(all_of(weights, 3), NULL, 0).chosen != 0;
    }
    CHECK_GT(later, 500);
}

TEST(balance_reads_weights_inside_structs)
{
    struct {
        void *other;
        unsigned weight;
    } targets[] = {{NULL, 1}, {NULL, UINT_MAX}};
    struct balance_weights w = {&targets[0].weight, sizeof targets[0], 2};

    CHECK_EQ(balance_weighted(w, NULL, UINT64_MAX / 2).chosen, 1);
    CHECK_EQ(balance_weighted(w, NULL, UINT64_MAX / 2).weight_sum, (uint64_t)UINT_MAX + 1);
}
