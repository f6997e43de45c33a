"""What guestpass costs, measured beside what else there is: `make bench`. See README.md here."""
