"""From goals to the student that meets them: screened untrained, trained by halving, judged."""
