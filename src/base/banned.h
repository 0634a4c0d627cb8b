/*
 * banned.h - functions that our code does not use, made compile errors.
 *
 * The Makefile includes this in front of every file of src/. It pulls in no header: it declares the functions as the C
 * library does, with an attribute that makes their use an error, and the attribute survives the library's own declaration
 * later on. scripts/check-banned covers what cannot be declared without a header, or is a macro, and says why each is here.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#define BANNED(instead) __attribute__((unavailable(instead)))

extern char *strcpy(char *restrict to, const char *restrict from) BANNED("no bound: use a buf");
extern char *stpcpy(char *restrict to, const char *restrict from) BANNED("no bound: use a buf");
extern char *strcat(char *restrict to, const char *restrict from) BANNED("no bound: use a buf");
extern int sprintf(char *restrict to, const char *restrict fmt, ...) BANNED("no bound: use buf_addf or snprintf");
extern char *strtok(char *restrict s, const char *restrict delimiters) BANNED("hidden state: use str_cut");
extern int atoi(const char *s) BANNED("no error: use str_to_u64");
extern long atol(const char *s) BANNED("no error: use str_to_u64");
extern long long atoll(const char *s) BANNED("no error: use str_to_u64");
extern int rand(void) BANNED("randomness comes from the rand seam");
extern void srand(unsigned seed) BANNED("randomness comes from the rand seam");
extern int system(const char *command) BANNED("a shell on our input");

#undef BANNED

#endif
