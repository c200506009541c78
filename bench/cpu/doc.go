// Command cpu measures what Eider costs a whole Caddy process: CPU time, user
// and system, for each request.
//
// It starts three Caddys with the same site: two plain ones and one with the
// eider directive. One load process (this one) drives them by turns, in bursts
// over keep-alive connections, with a bounded number of requests. The kernel's
// CPU clock of each process is read before and after a round, with a pause
// before the second reading, so that enrichment, queue and shipping are paid
// for as well.
//
// Requests per second cannot resolve a few per cent on a machine that does
// other things too; CPU time can, if rounds are paired and something says how
// much two equal processes differ. That is the second plain Caddy: the A/A
// control, with the same estimator and the same interval as the measurement.
//
//	go run ./bench/cpu [-rounds 24] [-requests 3000] [-memory 96MiB]
package main
