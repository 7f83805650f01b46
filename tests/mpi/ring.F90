! A ring in Fortran, through each of the three ways to reach MPI: -DUSE_MPIF, -DUSE_MPI or
! -DUSE_F08. Every call must be counted once. Writes $EXPECT_DIR/RANK.json as expect.h does.
program ring
#if defined(USE_F08)
  use mpi_f08
  implicit none
  type(MPI_Request) :: requests(2)
#elif defined(USE_MPI)
  use mpi
  implicit none
  integer :: requests(2)
#else
  implicit none
  include 'mpif.h'
  integer :: requests(2)
#endif
  integer, parameter :: rounds = 10
  integer :: rank, size, left, right, i, code
  double precision :: out(100), in(100), total(1), mine(1)
  character(len=512) :: folder, name

  call MPI_Init(code)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, code)
  call MPI_Comm_size(MPI_COMM_WORLD, size, code)
  right = mod(rank + 1, size)
  left = mod(rank + size - 1, size)
  out = rank
  do i = 1, rounds
    call MPI_Irecv(in, 100, MPI_DOUBLE_PRECISION, left, 1, MPI_COMM_WORLD, requests(1), code)
    call MPI_Isend(out, 50, MPI_DOUBLE_PRECISION, right, 1, MPI_COMM_WORLD, requests(2), code)
    call MPI_Waitall(2, requests, MPI_STATUSES_IGNORE, code)
  end do
  mine(1) = rank
  call MPI_Allreduce(mine, total, 1, MPI_DOUBLE_PRECISION, MPI_SUM, MPI_COMM_WORLD, code)
  call MPI_Barrier(MPI_COMM_WORLD, code)

  call get_environment_variable('EXPECT_DIR', folder)
  write (name, '(a,a,i0,a)') trim(folder), '/', rank, '.json'
  open (unit=10, file=trim(name))
  write (10, '(a,i0,a,i0,a,i0,a,i0,a,i0,a)') &
    '{"mpi_comm_rank":[1,0,0],"mpi_comm_size":[1,0,0],"mpi_irecv":[', rounds, ',0,', &
    rounds*400, '],"mpi_isend":[', rounds, ',', rounds*400, ',0],"mpi_waitall":[', rounds, &
    ',0,0],"mpi_allreduce":[1,8,8],"mpi_barrier":[1,0,0],"mpi_finalize":[1,0,0]}'
  close (10)
  call MPI_Finalize(code)
end program ring
