// See fib.wat.
__attribute__((noinline)) static unsigned fib(unsigned n) {
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

long long run(int n) { return (int)fib(n); }
