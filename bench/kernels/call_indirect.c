// See call_indirect.wat.
static unsigned n, acc;

static int dec(int pc) { n--; return pc + 1; }
static int test(int pc) { return n ? pc + 1 : -1; }
static int mul(int pc) { acc *= 31; return pc + 1; }
static int add(int pc) { acc += n; return pc + 1; }
static int skip(int pc) { return pc + 2 - (acc & 1); }
static int xor(int pc) { acc ^= n; return pc + 1; }
static int jump(int pc) { return 0; }

static int (*volatile operations[])(int) = {dec, test, mul, add, skip, xor, jump};
static const volatile unsigned char program[] = {0, 1, 2, 3, 4, 5, 6};

long long run(int count) {
    n = count;
    acc = 0;
    for (int pc = 0; pc >= 0;)
        pc = operations[program[pc]](pc);
    return acc;
}
